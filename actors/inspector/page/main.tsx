/** The entry of the page. */
import { render } from "preact";
import { config } from "./data/config.ts";
import { restWhileHidden } from "./data/feed.ts";
import { askMe } from "./data/me.ts";
import { App } from "./shell/app.tsx";
import { applyTheme } from "./shell/theme.ts";
import "./style/tokens.css";
import "./style/base.css";
import "./style/shell.css";
import "./style/ui.css";

applyTheme();
if (config.mode === "inspector") {
  void askMe();
  restWhileHidden();
}
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
