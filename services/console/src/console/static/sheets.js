// Numbers and tables for officials. Money is in whole fen and never becomes a fraction.
"use strict";

const sheets = (() => {
  const whole = new Intl.NumberFormat("zh-CN");

  function count(people) {
    return people === null ? "—" : whole.format(people);
  }

  function yuan(fen) {
    if (fen === null) return "—";
    const size = Math.abs(fen), rest = size % 100;
    return `${fen < 0 ? "-" : ""}${whole.format((size - rest) / 100)}.${String(rest).padStart(2, "0")}`;
  }

  function difference(before, after) {
    if (before === null || after === null) return "—";
    return `${after > before ? "+" : ""}${yuan(after - before)}`;
  }

  // columns: [name, row → text, isNumber]; emphasis: row → class of its line
  function table(columns, rows, emphasis = () => "") {
    const sheet = make("table", "sheet"), head = make("tr"), body = make("tbody"), top = make("thead");
    head.append(...columns.map(([name, , number]) => make("th", number ? "number" : "", name)));
    top.append(head);
    body.append(...rows.map((row) => {
      const line = make("tr", emphasis(row));
      line.append(...columns.map(([, text, number]) => make("td", number ? "number" : "", text(row))));
      return line;
    }));
    sheet.append(top, body);
    return sheet;
  }

  const money = [
    ["原金额（元）", (row) => yuan(row.fen_before), true],
    ["新金额（元）", (row) => yuan(row.fen_after), true],
    ["增减（元）", (row) => difference(row.fen_before, row.fen_after), true],
  ];

  return { count, yuan, difference, table, money };
})();
