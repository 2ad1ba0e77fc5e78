// What scrolls sideways can be reached by the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  const wide = "pre, .pst-scrollable-table-container, .cell_output .text_html, .text_html > div";
  for (const block of document.querySelectorAll(wide)) {
    block.tabIndex = 0;
  }
});
