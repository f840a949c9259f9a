import { missingParameter } from "../api-error.ts";
import type { RouteScope } from "../json-route.ts";

/** A request without a name means the only model. Throws ApiError (400) where there are several. */
export function modelMeant(scope: RouteScope, name: string | null | undefined): string {
  if (name != null) return name;
  const ready = scope.models.ready();
  const [only] = ready;
  if (only === undefined || ready.length > 1) throw missingParameter("model");
  return only.name;
}
