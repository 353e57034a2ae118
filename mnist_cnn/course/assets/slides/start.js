// What MathJax reads when it loads, and how the slides start: once the equations are set, since
// their place must be known before reveal.js hides all slides but one.
window.MathJax = {
  tex: { inlineMath: [["$", "$"]], displayMath: [["$$", "$$"]] },
  options: { enableMenu: false }, // it would fetch more of MathJax
  startup: {
    pageReady: async () => {
      await MathJax.startup.defaultPageReady();
      // The speaker's window has no style that hides what is meant for screen readers.
      document.querySelectorAll("aside.notes mjx-assistive-mml").forEach((math) => math.remove());
      await Reveal.initialize({
        width: 1280,
        height: 720,
        margin: 0,
        center: false,
        display: "flex",
        hash: true,
        slideNumber: "c/t",
        transition: "none",
        pdfSeparateFragments: false,
        plugins: [RevealNotes],
      });
    },
  },
};
