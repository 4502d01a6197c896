// Tables as CSV (RFC 4180) that a spreadsheet opens as what they are: text stays text.

/** One record. Numbers go out as they are; a text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function csvLine(cells) {
  return `${cells.map(cell).join(",")}\r\n`;
}

function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
