/** Of `sockaddr_un.sun_path` on Linux, less the closing zero; macOS has 103. */
export const unixPathBytesMax = process.platform === "darwin" ? 103 : 107;
