/** The model that engine tests run on: the one in the repository. */

import { join } from "node:path";

const BUNDLED = join(import.meta.dir, "../../../deploy/models/tiny/troupe-tiny.gguf");

/** Path of a GGUF; TROUPE_TEST_MODEL runs the same tests on another model. */
export const TEST_MODEL = process.env["TROUPE_TEST_MODEL"] || BUNDLED;
