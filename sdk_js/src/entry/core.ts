import { boot } from "./boot";
import { initCore } from "./init";

boot(initCore);
