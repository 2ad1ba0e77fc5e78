// What scrolls sideways can be reached by the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("pre, .pst-scrollable-table-container")) {
    block.tabIndex = 0;
  }
});
