// Sorts tables by their headings, and opens the details or the collapsed section that a link leads to.

for (const row of document.querySelectorAll("thead tr:last-child")) {
  [...row.cells].forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => sort(row, heading, column));
  });
}

function sort(row, heading, column) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of row.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = row.closest("table").tBodies[0];
  const lines = [...body.rows];
  lines.sort((a, b) => compare(a.cells[column].dataset.value, b.cells[column].dataset.value, descending ? -1 : 1));
  body.append(...lines);
}

// Cells without a value come last in either order.
function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference);
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  const details = target?.matches("details") ? target : target?.querySelector(":scope > details.folded");
  if (details) details.open = true;
}

addEventListener("hashchange", openTarget);
openTarget();
