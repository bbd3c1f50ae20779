import { loadSignals } from "../signal/load";
import { boot } from "./boot";
import { initWith } from "./init";

boot((settings) => initWith(settings, loadSignals));
