/** How actors are made again from a recording, by the name that they gave there. */
import { routerRecipes } from "../../actors/router/router.ts";
import { streamRecipes } from "../../actors/stream/stream.ts";
import type { Recipes } from "../../runtime/observe/record/driven/drive.ts";

export const recipes: Recipes = { ...routerRecipes, ...streamRecipes };
