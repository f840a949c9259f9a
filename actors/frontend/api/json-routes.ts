/** The table of routes that generate nothing: a route is here, or it is not there. */
import { busyThresholds, setBusyThreshold } from "./admin/busy-threshold.ts";
import { clearKvBlocks } from "./admin/clear-kv-blocks.ts";
import { cancelBatch, createBatch, listBatches, retrieveBatch } from "./batches/batches.ts";
import {
  addConversationItems,
  createConversation,
  deleteConversation,
  deleteConversationItem,
  listConversationItems,
  retrieveConversation,
  retrieveConversationItem,
  updateConversation,
} from "./conversations/conversation-routes.ts";
import { docs, openApi } from "./docs/docs.ts";
import { deleteFile, fileContent, listFiles, retrieveFile, uploadFile } from "./files/files.ts";
import { front, health, live, metrics, model, modelReady, models } from "./info/info.ts";
import type { JsonRoute } from "./json-route.ts";
import { loadLora, unloadLora } from "./lora/lora.ts";
import { countTokens } from "./messages/count-tokens.ts";
import {
  cancelResponse,
  countInputTokens,
  deleteResponse,
  listInputItems,
  retrieveResponse,
} from "./responses/response-routes.ts";
import { detokenize } from "./tokenize/detokenize.ts";
import { tokenize } from "./tokenize/tokenize.ts";
import { tokenizerInfo } from "./tokenize/tokenizer-info.ts";

export const jsonRoutes: readonly JsonRoute[] = [
  ...[models, model, modelReady, tokenize, detokenize, tokenizerInfo, countTokens],
  ...[retrieveResponse, deleteResponse, cancelResponse, listInputItems, countInputTokens],
  ...[createConversation, retrieveConversation, updateConversation, deleteConversation],
  ...[listConversationItems, addConversationItems],
  ...[retrieveConversationItem, deleteConversationItem],
  ...[uploadFile, listFiles, retrieveFile, fileContent, deleteFile],
  ...[createBatch, listBatches, retrieveBatch, cancelBatch],
  ...[clearKvBlocks, busyThresholds, setBusyThreshold, loadLora, unloadLora],
  ...[front, health, live, metrics, openApi, docs],
];
