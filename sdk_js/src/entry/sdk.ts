import { loadSignals } from "../signal/load.js";
import { boot } from "./boot.js";
import { initWith } from "./init.js";

boot((settings) => initWith(settings, loadSignals));
