/** What proxy and server say they are: clients choose their commands by it. */

/** The version of Redis whose commands and options are served. */
export const REDIS_VERSION = "7.2.11";
