/** The little of Markdown that model cards are written in, as elements. What it does not know stays text. */

import { element } from "./dom.js";

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)/g;

/**
 * @param {string} text headings, paragraphs, lists, tables, code, bold; of links, which may lead anywhere, only their texts
 * @returns {HTMLElement[]}
 */
export function renderMarkdown(text) {
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n\s*\n/)
    .flatMap((block) => splitHeading(block.trim()))
    .filter(Boolean)
    .map(renderBlock);
}

/** A heading may have its paragraph right below it. */
function splitHeading(block) {
  const [first, ...rest] = block.split("\n");
  return first.startsWith("#") && rest.length ? [first, rest.join("\n")] : [block];
}

function renderBlock(block) {
  const lines = block.split("\n");
  const heading = /^(#{1,6})\s+(.*)$/.exec(block);
  if (heading && lines.length === 1) {
    return element(heading[1].length === 1 ? "h3" : "h4", {}, ...renderInline(heading[2]));
  }
  if (lines.every((line) => line.startsWith("|"))) {
    return renderTable(lines);
  }
  if (/^[-*] /.test(block)) {
    const items = block.split(/\n(?=[-*] )/).map((item) => item.slice(2).replace(/\s*\n\s*/g, " "));
    return element("ul", {}, ...items.map((item) => element("li", {}, ...renderInline(item))));
  }
  return element("p", {}, ...renderInline(lines.join(" ")));
}

function renderTable(lines) {
  const rows = lines.filter((line) => !/^\|[\s:|-]+\|?$/.test(line)).map((line) => line.replace(/^\||\|\s*$/g, "").split("|"));
  const made = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...renderInline(cell.trim())))));
  const frame = { class: "table-frame", tabindex: "0", role: "group", "aria-label": "Table" };
  return element("div", frame, element("table", { class: "numbers" }, ...made));
}

function renderInline(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, link] = match;
    parts.push(text.slice(end, match.index), code ? element("code", {}, code) : bold ? element("strong", {}, bold) : link);
    end = match.index + whole.length;
  }
  return [...parts, text.slice(end)];
}
