"use strict";
const box = document.getElementById("search");
if (box) {
  const rows = Array.from(document.querySelectorAll("#rows tbody tr"));
  const shown = document.getElementById("shown");
  box.addEventListener("input", () => {
    const word = box.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(word);
      if (!row.hidden) count += 1;
    }
    shown.textContent = String(count);
  });
}
