import { boot } from "./boot.js";
import { initCore } from "./init.js";

boot(initCore);
