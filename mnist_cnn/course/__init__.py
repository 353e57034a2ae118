"""The workshop: how the course is made, checked and handed out. No lesson imports it.

``cli``                                         the command ``mnist-cnn``
``notebooks``, ``lesson_times``                 chapters executed and recorded
``check``, ``tolerances``, ``faults``           the checker, and how well it checks
``editions``, ``slides``, ``kit``               for class: students' notebooks, slides, a USB stick
``site``, ``playground``                        for the browser
``grading``                                     marks
``translations``, ``chinese``, ``fonts``        other languages
``reference``, ``forward``, ``workers``         the reference networks: made, and run in NumPy
``models``, ``reading``, ``results``            what the command predicts, evaluates and leaves
``files``, ``machine``, ``quick_start``         whole files, the machine's nature, a quick start
"""
