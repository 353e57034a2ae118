"""The workshop: how the course is made, checked and handed out. No lesson imports it."""
