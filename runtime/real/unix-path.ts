/** Bytes of `sockaddr_un.sun_path` without the closing zero: 107 on Linux, 103 on macOS. */
export const unixPathBytesMax = process.platform === "darwin" ? 103 : 107;
