// stylua as a filter: lines of {"code", "columnWidth", "indentWidth", "indentUsingTabs"} on stdin, lines of {"text"} or
// {"error"} on stdout. Its first argument is the directory of the npm package @johnnymorganz/stylua.
const stylua = require(process.argv[2]);

for (const line of require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1)) {
  const wanted = JSON.parse(line);
  const config = stylua.Config.new();
  config.column_width = wanted.columnWidth;
  config.indent_width = wanted.indentWidth;
  config.indent_type = wanted.indentUsingTabs ? stylua.IndentType.Tabs : stylua.IndentType.Spaces;
  config.line_endings = stylua.LineEndings.Unix;
  let result;
  try {
    result = { text: stylua.formatCode(wanted.code, config, undefined, stylua.OutputVerification.None) };
  } catch (error) {
    result = { error: String(error) };
  }
  console.log(JSON.stringify(result));
}
