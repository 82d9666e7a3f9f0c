/** What the server says it is: clients choose their commands by it. */

/** The version of Redis whose commands and options are served. */
export const SERVER_VERSION = "7.2.11";
