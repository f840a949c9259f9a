/** The face of the adapter keeper: which LoRA adapters this machine's workers have. */
export { AdapterKeeper, type AdapterKeeperOptions, type KeptAdapter } from "./adapter-keeper.ts";
