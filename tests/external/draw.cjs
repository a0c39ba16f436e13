// Draws ZPL with zpl-renderer-js: draw.cjs TOOLS SAMPLES FOLDER DAMAGE
//
// Writes NUMBER.zpl, the stream of one label with all that the session sent before it, and NUMBER.js.png, the picture.
// DAMAGE spoils the stream first: the judge must notice.
const fs = require("node:fs");
const path = require("node:path");

const [tools, samples, folder, damage] = process.argv.slice(2);
const { ready } = require(require.resolve("zpl-renderer-js", { paths: [tools] }));

/** Each way to print a wrong label; the first ^FD is the symbol's. */
const DAMAGES = {
  none: (zpl) => zpl,
  // The escape character of newer firmware, and serials not doubled for it.
  escape: (zpl) => zpl.replace(/(\^BX[^@^]*)@/, "$1_").replace(/@(1|d029)/g, "_$1"),
  fnc1: (zpl) => zpl.replace("^FD@1", "^FD"),
  separator: (zpl) => zpl.replace(/(\^FD.[^@^]*)@(1|d029)/, "$1"),
  letter: (zpl) => zpl.replace(/(\^FD[^^]*)([^^])\^FS/, (_, head, last) => `${head}${last === "A" ? "B" : "A"}^FS`),
  // Letters on the symbol: error correction may hide them from a reader.
  overlap: (zpl, s) =>
    zpl.replace("^PQ", `^FO${s.x + s.module},${s.y + s.module}^A0N,${3 * s.module},${3 * s.module}^FDTEST^FS^PQ`),
  size: (zpl) => zpl.replace(/(\^BXN,\d+,200,)\d+,\d+/, "$148,48"),
};

/** The renderer does not know the guide's escape `dNNN`, but takes the byte itself. */
const knowsNoDecimal = (zpl) => zpl.replaceAll(`${zpl.match(/\^BX[^^]*(.)\^F/)[1]}d029`, "\x1d");

ready
  .then(async ({ api }) => {
    const lines = fs.readFileSync(samples, "utf8").trimEnd().split("\n");
    for (const [number, line] of lines.entries()) {
      const sample = JSON.parse(line);
      const zpl = DAMAGES[damage](sample.prelude + sample.zpl, sample);
      fs.writeFileSync(path.join(folder, `${number}.zpl`), zpl);
      const drawn = await api.zplToBase64MultipleAsync(knowsNoDecimal(zpl), sample.width / 8, sample.length / 8, 8);
      if (drawn.length !== 1) throw new Error(`label ${number} became ${drawn.length} pictures`);
      fs.writeFileSync(path.join(folder, `${number}.js.png`), Buffer.from(drawn[0], "base64"));
    }
    process.exit(0);
  })
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
