/** What the API keeps: records that are away are an error of the routes that need them, alone. */
import { errorText } from "../../../runtime/error-text.ts";
import { ApiError } from "./api-error.ts";

/** Rejects with ApiError (503) where the store does not do it. */
export async function stored<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof ApiError ? error : storeUnavailable(error);
  }
}

export const storeUnavailable = (error: unknown): ApiError =>
  new ApiError(
    503,
    "store_unavailable",
    `What this server stores cannot be read or written now (${errorText(error)}). Try again in a ` +
      "moment; what needs no store, as a chat or a response with 'store': false, is answered.",
    null,
    { "Retry-After": "1" },
  );
