/* libantcache: an embedded cache, the Ant-Cache server and its client, for C99 and C++11.
 *
 * This file is made from the library's source by cbindgen and is its manual. docs/C.md has a page for each type.
 *
 * CONVENTIONS
 *
 * Status. Every function that can fail returns an antcache_status: 0 (ANTCACHE_OK) and above are answers, below 0 are
 * failures. The numbers are frozen. After a failure nothing has been written through any pointer, except that an
 * antcache_error is filled in, and where a function says otherwise.
 *
 * Objects. A type without fields is opaque. What makes one (antcache_X_new, _connect, _start) writes its address through
 * the last pointer but the error; antcache_X_free frees it, accepts NULL, and returns a status like every other
 * function. A pointer of a wrong type, or one that was freed, is undefined behaviour as with free(); a wrong type is
 * found out in most cases, and in a debug build of the library both are, in all cases: ANTCACHE_BAD_HANDLE.
 *
 * Pointers. NULL is ANTCACHE_NULL wherever a function does not say what it means, also where a length is 0. Keys and
 * values are bytes with a length; text (const char *) ends with NUL and is UTF-8. The library copies what it is given
 * and keeps no pointer of the caller's, but for callbacks and their contexts.
 *
 * Memory. What a function allocates for the caller is freed by the function that it names: antcache_free, or that of
 * the type. Where it says that bytes belong to an object, they stay as they are until that object is freed.
 *
 * Structs with a field `size` may grow. antcache_X_init(&x, sizeof x) sets it, and all other fields to 0, which means
 * the default. A size that the library does not know is ANTCACHE_STRUCT_SIZE, so a program that was built with a newer
 * header than the library it runs with is told, and one that was built with an older header works.
 *
 * Threads. Any thread may call any function on any object at any time, but for _free, which must be the last call.
 * There is no global state.
 *
 * fork(). A child cannot use the caches, services, sessions, servers and clients of its parent: every call returns
 * ANTCACHE_FORKED, _free too, and does nothing (Linux 4.14 or newer). It can make its own.
 *
 * Callbacks run on the thread that called the function, or, for a clock, on any that uses the object. They must return:
 * no longjmp(), no C++ exception.
 *
 * Failures within the library are caught: ANTCACHE_PANIC, and from then on ANTCACHE_POISONED for that object.
 *
 * Out of memory. Memory for values, copies and arrays that the caller asks for is asked for in a way that can fail:
 * ANTCACHE_NO_MEMORY. Where the library cannot get the small memory of its own structures (an index that grows, a
 * page of entries, a reply from the network), the process is aborted, as Rust's standard library does. A bound on
 * memory (max_memory) is the way not to come near that.
 */


#ifndef ANTCACHE_H
#define ANTCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The longest key in bytes.
 */
#define ANTCACHE_MAX_KEY 65535

/**
 * The largest value in bytes that a function takes: 1 GiB.
 */
#define ANTCACHE_MAX_VALUE (1 << 30)

/**
 * The most elements, fields or arguments that a function takes.
 */
#define ANTCACHE_MAX_COUNT (1 << 20)

/**
 * Flag of the functions that store: only where the key has no entry.
 */
#define ANTCACHE_NX 1

/**
 * Flag of the functions that store: only where the key has an entry.
 */
#define ANTCACHE_XX 2

/**
 * What a call came to. The numbers are frozen: none will change its meaning, new ones may come. 0 and above are
 * answers, below 0 are failures, after which nothing was written through any pointer, except where a function says
 * otherwise.
 */
enum antcache_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  ANTCACHE_OK = 0,
  /**
   * There is no such entry.
   */
  ANTCACHE_NOT_FOUND = 1,
  /**
   * The condition (ANTCACHE_NX, ANTCACHE_XX) was not met; nothing was stored.
   */
  ANTCACHE_NOT_STORED = 2,
  /**
   * A callback asked to stop.
   */
  ANTCACHE_STOPPED = 3,
  /**
   * There is nothing to take: no reply is due.
   */
  ANTCACHE_EMPTY = 4,
  /**
   * A pointer is NULL that must not be, or is not aligned for its type.
   */
  ANTCACHE_NULL = -1,
  /**
   * An argument is out of range; the function says which it accepts.
   */
  ANTCACHE_INVALID = -2,
  /**
   * The size field of a struct is none that this library knows.
   */
  ANTCACHE_STRUCT_SIZE = -3,
  /**
   * The pointer is no live object of this type.
   */
  ANTCACHE_BAD_HANDLE = -4,
  /**
   * An earlier call on this object failed with ANTCACHE_PANIC. It can only be freed.
   */
  ANTCACHE_POISONED = -5,
  /**
   * A bug in this library. The object that was called is poisoned; others are not concerned.
   */
  ANTCACHE_PANIC = -6,
  /**
   * The system has no memory for it.
   */
  ANTCACHE_NO_MEMORY = -7,
  /**
   * The object was made by a parent process. After fork() only the parent can use it.
   */
  ANTCACHE_FORKED = -8,
  /**
   * The buffer is smaller than the value.
   */
  ANTCACHE_NO_ROOM = -9,
  /**
   * The key is longer than ANTCACHE_MAX_KEY.
   */
  ANTCACHE_KEY_TOO_LONG = -10,
  /**
   * The value is larger than ANTCACHE_MAX_VALUE, or than all the memory that the cache may have.
   */
  ANTCACHE_TOO_LARGE = -11,
  /**
   * The cache is full, and nothing may be evicted.
   */
  ANTCACHE_FULL = -12,
  /**
   * The value is of another kind: no string, no array, no object, no integer.
   */
  ANTCACHE_WRONG_TYPE = -13,
  /**
   * The sum would be no integer of 64 bits.
   */
  ANTCACHE_OVERFLOW = -14,
  /**
   * The text is no address, or no settings of a server.
   */
  ANTCACHE_BAD_SETTINGS = -20,
  /**
   * The system refuses: out of threads, descriptors, or the like.
   */
  ANTCACHE_SYSTEM = -21,
  /**
   * The address cannot be listened on.
   */
  ANTCACHE_LISTEN = -22,
  /**
   * Too many connections or sessions are open.
   */
  ANTCACHE_REFUSED = -23,
  /**
   * The session or server has ended.
   */
  ANTCACHE_CLOSED = -24,
  /**
   * The file is no snapshot, or not whole.
   */
  ANTCACHE_DAMAGED = -25,
  /**
   * No connection could be made.
   */
  ANTCACHE_CONNECT = -30,
  /**
   * The connection broke, or the server closed it before its reply was complete.
   */
  ANTCACHE_LOST = -31,
  /**
   * The server did not answer in time, or no connection of a pool came free in time.
   */
  ANTCACHE_TIMEOUT = -32,
  /**
   * The connection was closed after an earlier failure; reconnect.
   */
  ANTCACHE_NOT_CONNECTED = -33,
  /**
   * The server answered with an error, which is the message. The connection is as good as before.
   */
  ANTCACHE_SERVER_ERROR = -34,
  /**
   * The server sent what is no reply to the request.
   */
  ANTCACHE_PROTOCOL = -35,
  /**
   * The node of the key is down, or there is no node.
   */
  ANTCACHE_NODE_DOWN = -36,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum antcache_status antcache_status;
#else
typedef int32_t antcache_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a value in a cache is.
 */
enum antcache_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Bytes.
   */
  ANTCACHE_KIND_STRING = 0,
  /**
   * A sequence of byte strings.
   */
  ANTCACHE_KIND_ARRAY = 1,
  /**
   * Fields, byte strings that differ, and a byte string for each.
   */
  ANTCACHE_KIND_OBJECT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum antcache_kind antcache_kind;
#else
typedef int32_t antcache_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a reply is. The numbers are those of hiredis.
 */
enum antcache_reply_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A byte string: `str`, `len`.
   */
  ANTCACHE_REPLY_STRING = 1,
  /**
   * An array: `elements`, `count`.
   */
  ANTCACHE_REPLY_ARRAY = 2,
  /**
   * An integer: `integer`.
   */
  ANTCACHE_REPLY_INTEGER = 3,
  /**
   * Nothing.
   */
  ANTCACHE_REPLY_NIL = 4,
  /**
   * A status such as "OK": `str`, `len`.
   */
  ANTCACHE_REPLY_STATUS = 5,
  /**
   * An error, whose message begins with a code in capitals: `str`, `len`.
   */
  ANTCACHE_REPLY_ERROR = 6,
  /**
   * RESP 3: a double: `number`.
   */
  ANTCACHE_REPLY_DOUBLE = 7,
  /**
   * RESP 3: a boolean: `integer`, 0 or 1.
   */
  ANTCACHE_REPLY_BOOL = 8,
  /**
   * RESP 3: a map, keys and values in turn: `elements`, `count`, which is even.
   */
  ANTCACHE_REPLY_MAP = 9,
  /**
   * RESP 3: a set: `elements`, `count`.
   */
  ANTCACHE_REPLY_SET = 10,
  /**
   * RESP 3: an integer of any size, as digits: `str`, `len`.
   */
  ANTCACHE_REPLY_BIGNUM = 13,
  /**
   * RESP 3: a text with a note of how to show it, which is left out: `str`, `len`.
   */
  ANTCACHE_REPLY_VERB = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum antcache_reply_type antcache_reply_type;
#else
typedef int32_t antcache_reply_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What goes where memory or entries are bounded.
 */
enum antcache_eviction
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The default: those least likely to be asked for again, by recency and frequency.
   */
  ANTCACHE_EVICT_ADAPTIVE = 0,
  /**
   * Those whose last use is longest ago.
   */
  ANTCACHE_EVICT_LRU = 1,
  /**
   * Any.
   */
  ANTCACHE_EVICT_RANDOM = 2,
  /**
   * Those whose time to live ends first; without one, those written first.
   */
  ANTCACHE_EVICT_TTL = 3,
  /**
   * None: what can need memory is refused with ANTCACHE_FULL.
   */
  ANTCACHE_EVICT_NONE = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum antcache_eviction antcache_eviction;
#else
typedef int32_t antcache_eviction;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What becomes of requests whose node is down or fails.
 */
enum antcache_node_down
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The default: they fail; while the node is down, at once.
   */
  ANTCACHE_NODE_DOWN_FAIL = 0,
  /**
   * They are answered as if the node were empty and stored nothing.
   */
  ANTCACHE_NODE_DOWN_MISS = 1,
  /**
   * They fail until the node is down; then its keys go to the other nodes, until it is up again.
   */
  ANTCACHE_NODE_DOWN_REHASH = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum antcache_node_down antcache_node_down;
#else
typedef int32_t antcache_node_down;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An embedded cache: keys and values in the memory of this process. Any number of threads may use it at once.
 */
typedef struct antcache_cache antcache_cache;

/**
 * One connection to a server. Threads that use it wait for each other.
 *
 * A request that fails half way closes the connection, so that its late reply is never taken for another's: further
 * requests fail with ANTCACHE_NOT_CONNECTED until antcache_client_reconnect. ANTCACHE_SERVER_ERROR closes nothing.
 */
typedef struct antcache_client antcache_client;

/**
 * Connections to one server. Threads that use it at once have a connection each, up to a bound. A connection that fails
 * is closed, and another one made for the next request.
 */
typedef struct antcache_pool antcache_pool;

/**
 * A server that runs on threads of its own.
 */
typedef struct antcache_server antcache_server;

/**
 * A server without sockets: keys, values and settings, for any number of sessions on any number of threads.
 */
typedef struct antcache_service antcache_service;

/**
 * The protocol of one connection, without its socket. The loop of whoever drives it:
 *
 *     received bytes      -> antcache_session_feed, or antcache_session_eof at their end
 *     then                -> antcache_session_turn, for as long as it wants `again`
 *     antcache_session_output -> bytes to send; antcache_session_sent says how many were
 *
 * and after sending, where `read` was not wanted, another turn. When `close` is wanted and all output is sent, the
 * connection is to be closed.
 */
typedef struct antcache_session antcache_session;

/**
 * One client for many servers, among which keys are shared out by a ring. Any number of threads may use it at once.
 */
typedef struct antcache_sharded antcache_sharded;

/**
 * A value that was taken out of a cache. It stays as it is, whatever becomes of the entry and of the cache, until
 * antcache_value_free; and so do the bytes that are read from it.
 */
typedef struct antcache_value antcache_value;

/**
 * A source of the time: milliseconds from any origin. Called by any thread that uses the object, also by several at
 * once, and never under a lock. It must return: no longjmp, no C++ exception. A time before one that was given
 * earlier counts as that one.
 */
typedef uint64_t (*antcache_clock)(void *context);

/**
 * How a cache is made. Begin with antcache_cache_options_init; 0 is the default in every field.
 */
typedef struct antcache_cache_options {
  /**
   * sizeof(antcache_cache_options).
   */
  size_t size;
  /**
   * Bytes of memory at most, keys, values, headers and index included; 0 for no bound.
   */
  uint64_t max_memory;
  /**
   * Entries at most; 0 for any number.
   */
  uint64_t max_entries;
  /**
   * Parts with a lock each, 1 to 4096, rounded up to a power of two; 0 for as many as suit the bounds.
   */
  uint64_t shards;
  /**
   * What goes where a bound is reached: a number of antcache_eviction.
   */
  int32_t eviction;
  /**
   * Must be 0.
   */
  int32_t reserved;
  /**
   * Where the cache learns the time; NULL for the system's monotonic clock.
   */
  antcache_clock clock;
  /**
   * Passed to the clock.
   */
  void *clock_context;
} antcache_cache_options;

/**
 * A value that is borrowed from a cache, by antcache_cache_get_view.
 */
typedef struct antcache_view {
  /**
   * The bytes of the value. Never NULL, not to be changed, there until antcache_view_release.
   */
  const void *data;
  /**
   * How many they are.
   */
  size_t len;
  /**
   * What keeps them; the library's own.
   */
  void *owner;
} antcache_view;

/**
 * Called with a key, which is there until it returns, and the caller's context. Anything but 0 stops the walk.
 */
typedef int32_t (*antcache_key_callback)(void *context, const void *key, size_t key_len);

/**
 * What a cache holds, and what it has done since it was made.
 */
typedef struct antcache_stats {
  /**
   * sizeof(antcache_stats).
   */
  size_t size;
  /**
   * Look-ups that found an entry.
   */
  uint64_t hits;
  /**
   * Look-ups that found none.
   */
  uint64_t misses;
  /**
   * Entries removed because there was no room for all.
   */
  uint64_t evictions;
  /**
   * Entries removed because their time had come.
   */
  uint64_t expirations;
  /**
   * Entries there are, those included that have ended and are not yet removed.
   */
  uint64_t entries;
  /**
   * Bytes of memory: keys, values, headers, index, free room.
   */
  uint64_t memory;
} antcache_stats;

/**
 * The particulars of a failure, in memory of the caller. Written only where a call fails, never freed, and of this size
 * for ever. Functions that take one accept NULL from who does not want to know.
 */
typedef struct antcache_error {
  /**
   * What the call returned.
   */
  antcache_status status;
  /**
   * The server that the request went to, such as "127.0.0.1:8890"; empty where it concerns none. Ends with NUL, cut
   * where it is longer.
   */
  char node[124];
  /**
   * What went wrong, one line of text for people, with the server and the command. Of ANTCACHE_SERVER_ERROR it is the
   * server's own words, which begin with a code in capitals. Ends with NUL, cut where it is longer.
   */
  char message[384];
} antcache_error;

/**
 * How a service is made. Begin with antcache_service_options_init; 0 is the default in every field.
 */
typedef struct antcache_service_options {
  /**
   * sizeof(antcache_service_options).
   */
  size_t size;
  /**
   * Bytes of memory at most, for keys and values; 0 for no bound.
   */
  uint64_t max_memory;
  /**
   * Sessions at once; 0 for 10,000.
   */
  uint64_t max_sessions;
  /**
   * What goes where memory runs out: a number of antcache_eviction.
   */
  int32_t eviction;
  /**
   * Must be 0.
   */
  int32_t reserved;
  /**
   * The password that AUTH must give; NULL for none.
   */
  const char *password;
  /**
   * Where the service learns the time, in milliseconds since 1970; NULL for the system's clock.
   */
  antcache_clock clock;
  /**
   * Passed to the clock.
   */
  void *clock_context;
} antcache_service_options;

/**
 * What a session wants after a turn. The demands combine.
 */
typedef struct antcache_wants {
  /**
   * To be fed when bytes arrive. If not, they are to be left where they are until output has been sent.
   */
  bool read;
  /**
   * Another turn, whatever happens: this one was over before the work was done.
   */
  bool again;
  /**
   * To be closed once all output is sent. No further turn is wanted.
   */
  bool close;
  /**
   * A turn in so many milliseconds at the latest; UINT64_MAX for never.
   */
  uint64_t deadline_ms;
} antcache_wants;

/**
 * A reply, and each of its elements. All of it belongs to the reply that a function wrote, which antcache_reply_free
 * frees with its elements. Fields that its type does not name are 0.
 */
typedef struct antcache_reply {
  /**
   * What it is, and so which of the fields it has.
   */
  antcache_reply_type type;
  /**
   * An integer or boolean.
   */
  int64_t integer;
  /**
   * A double.
   */
  double number;
  /**
   * Bytes of a string of any kind, a NUL behind them.
   */
  const char *str;
  /**
   * How many they are, without the NUL.
   */
  size_t len;
  /**
   * The elements of an array, a set or a map, one behind the other.
   */
  const struct antcache_reply *elements;
  /**
   * How many they are.
   */
  size_t count;
} antcache_reply;

/**
 * How a client connects and how long it waits. Begin with antcache_client_options_init; 0 is the default in every field.
 */
typedef struct antcache_client_options {
  /**
   * sizeof(antcache_client_options).
   */
  size_t size;
  /**
   * The longest wait, in milliseconds, for each address of the host to accept; 0 for 5 seconds, UINT64_MAX for any time.
   */
  uint64_t connect_timeout_ms;
  /**
   * The longest wait from the moment a request, or a whole pipeline, is sent until its last reply is complete; 0 for 10
   * seconds, UINT64_MAX for any time.
   */
  uint64_t read_timeout_ms;
  /**
   * The longest time in which the server takes no byte of a request; 0 for 10 seconds, UINT64_MAX for any time.
   */
  uint64_t write_timeout_ms;
  /**
   * Sent by AUTH first; NULL for none.
   */
  const char *password;
  /**
   * The version of RESP: 2 or 3; 0 for 2.
   */
  int32_t protocol;
  /**
   * Must be 0.
   */
  int32_t reserved;
} antcache_client_options;

/**
 * How large a pool is. Begin with antcache_pool_options_init; 0 is the default in every field.
 */
typedef struct antcache_pool_options {
  /**
   * sizeof(antcache_pool_options).
   */
  size_t size;
  /**
   * Connections to a server at most; 0 for 16.
   */
  uint64_t connections;
  /**
   * The longest wait, in milliseconds, for a connection while all are in use; 0 for 5 seconds, UINT64_MAX for any time.
   */
  uint64_t lease_timeout_ms;
  /**
   * How each connection is made and used; NULL for the defaults.
   */
  const struct antcache_client_options *client;
} antcache_pool_options;

/**
 * How a sharded client places keys and deals with nodes that are down. Begin with antcache_sharded_options_init; 0 is the
 * default in every field.
 */
typedef struct antcache_sharded_options {
  /**
   * sizeof(antcache_sharded_options).
   */
  size_t size;
  /**
   * "ketama", to the point as twemproxy has it, "rendezvous", "jump" or "modula"; NULL for ketama.
   */
  const char *distribution;
  /**
   * The hash of a key, by twemproxy's names; NULL for "fnv1a_64".
   */
  const char *hash;
  /**
   * Two characters, such as "{}": of a key that has both, only what is between them is hashed. NULL for none.
   */
  const char *hash_tag;
  /**
   * The connections to each node; NULL for the defaults.
   */
  const struct antcache_pool_options *pool;
  /**
   * How long a node that has just gone down is left alone, in milliseconds; 0 for 1000. Doubled by each retry in vain.
   */
  uint64_t first_retry_ms;
  /**
   * The longest that it is left alone, in milliseconds; 0 for 30,000.
   */
  uint64_t last_retry_ms;
  /**
   * Failures in a row after which a node is down; 0 for 3.
   */
  uint32_t failures;
  /**
   * A number of antcache_node_down.
   */
  int32_t on_node_down;
} antcache_sharded_options;

/**
 * What a sharded client has seen of a node.
 */
typedef struct antcache_node_stats {
  /**
   * sizeof(antcache_node_stats).
   */
  size_t size;
  /**
   * Requests that were sent to it; one that was split counts once for each of its nodes.
   */
  uint64_t requests;
  /**
   * Times that no connection could be made, or one broke, or gave no answer in time. A pipeline counts once.
   */
  uint64_t failures;
  /**
   * Times that it went down.
   */
  uint64_t downs;
  /**
   * In how many milliseconds it is tried again, at least 1; 0 where it is up.
   */
  uint64_t retry_in_ms;
  /**
   * Connections that wait for use.
   */
  uint64_t idle;
  /**
   * Connections in use.
   */
  uint64_t leased;
  /**
   * Its weight.
   */
  uint32_t weight;
  /**
   * Its name. Ends with NUL.
   */
  char name[256];
  /**
   * Where it is. Ends with NUL, cut where it is longer.
   */
  char address[256];
  /**
   * What went wrong last, perhaps long ago; empty where nothing did. Ends with NUL, cut where it is longer.
   */
  char last_error[384];
} antcache_node_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What a status means, in a few words of English; "unknown status" for a number that is none. Never NULL; the text is
 * constant and not to be freed.
 */
const char *antcache_status_str(int32_t status);

/**
 * The version of the library that is running, such as "0.1.0". Never NULL; not to be freed.
 */
const char *antcache_version(void);

/**
 * Frees what a function allocated for the caller, such as antcache_cache_get_copy. NULL is nothing to free.
 */
void antcache_free(void *memory);

/**
 * Sets every field to its default. `size` is sizeof(antcache_cache_options).
 */
antcache_status antcache_cache_options_init(struct antcache_cache_options *options, size_t size);

/**
 * Makes a cache, empty. `options` may be NULL for the defaults. ANTCACHE_INVALID where a field is out of range.
 */
antcache_status antcache_cache_new(const struct antcache_cache_options *options,
                                   struct antcache_cache **cache);

/**
 * Frees a cache and its entries. Views and values that were taken from it stay good. NULL is nothing to free.
 */
antcache_status antcache_cache_free(struct antcache_cache *cache);

/**
 * Copies the string of a key into `buffer`, which has `capacity` bytes, and its length into `value_len`. Nothing is
 * allocated. ANTCACHE_NOT_FOUND; ANTCACHE_WRONG_TYPE for an array or object; ANTCACHE_NO_ROOM where the value is longer,
 * and then its length is in `value_len` all the same.
 */
antcache_status antcache_cache_get(const struct antcache_cache *cache,
                                   const void *key,
                                   size_t key_len,
                                   void *buffer,
                                   size_t capacity,
                                   size_t *value_len);

/**
 * Copies the string of a key into new memory, to be freed by antcache_free; a NUL behind it is not added. Otherwise as
 * antcache_cache_get.
 */
antcache_status antcache_cache_get_copy(const struct antcache_cache *cache,
                                        const void *key,
                                        size_t key_len,
                                        void **value,
                                        size_t *value_len);

/**
 * Borrows the string of a key: from 1 KiB on the very bytes in the cache, without a copy. They stay as they are,
 * whatever becomes of the entry and of the cache, until antcache_view_release. Otherwise as antcache_cache_get.
 */
antcache_status antcache_cache_get_view(const struct antcache_cache *cache,
                                        const void *key,
                                        size_t key_len,
                                        struct antcache_view *view);

/**
 * Gives a borrowed value back, and sets all fields of the view to 0. A view of zeros is nothing to release.
 */
antcache_status antcache_view_release(struct antcache_view *view);

/**
 * Stores a string under a key, in the place of what it had: value and time to live. The bytes are copied. `ttl_ms` is the
 * time to live in milliseconds, 0 for no end. `flags` is 0, ANTCACHE_NX or ANTCACHE_XX. ANTCACHE_NOT_STORED where the
 * condition is not met; ANTCACHE_TOO_LARGE, ANTCACHE_FULL.
 */
antcache_status antcache_cache_set(struct antcache_cache *cache,
                                   const void *key,
                                   size_t key_len,
                                   const void *value,
                                   size_t value_len,
                                   uint64_t ttl_ms,
                                   uint32_t flags);

/**
 * Removes the entry of a key. ANTCACHE_NOT_FOUND where there is none.
 */
antcache_status antcache_cache_delete(struct antcache_cache *cache, const void *key, size_t key_len);

/**
 * Whether a key has an entry, of whatever kind: ANTCACHE_OK or ANTCACHE_NOT_FOUND. Does not count as a look-up.
 */
antcache_status antcache_cache_contains(const struct antcache_cache *cache,
                                        const void *key,
                                        size_t key_len);

/**
 * Gives the entry of a key a new time to live, `ttl_ms` milliseconds from now; 0 for no end. ANTCACHE_NOT_FOUND where
 * there is no entry.
 */
antcache_status antcache_cache_touch(struct antcache_cache *cache,
                                     const void *key,
                                     size_t key_len,
                                     uint64_t ttl_ms);

/**
 * Writes how many milliseconds the entry of a key has yet to live; 0 where it has no end. ANTCACHE_NOT_FOUND where there
 * is none.
 */
antcache_status antcache_cache_ttl(const struct antcache_cache *cache,
                                   const void *key,
                                   size_t key_len,
                                   uint64_t *ttl_ms);

/**
 * Adds `by`, which may be negative, to the integer of a key and writes the sum to `sum`, which may be NULL. A key without
 * an entry counts as 0; a time to live stays. ANTCACHE_WRONG_TYPE where the value is no integer; ANTCACHE_OVERFLOW;
 * ANTCACHE_FULL.
 */
antcache_status antcache_cache_incr(struct antcache_cache *cache,
                                    const void *key,
                                    size_t key_len,
                                    int64_t by,
                                    int64_t *sum);

/**
 * Calls `callback` with every key, in no particular order, while other threads use the cache. An entry that is there all
 * the while is met at least once. No lock is held during a call: it may use the cache. ANTCACHE_STOPPED where a call
 * returned anything but 0.
 */
antcache_status antcache_cache_keys(const struct antcache_cache *cache,
                                    antcache_key_callback callback,
                                    void *context);

/**
 * Removes every entry, for all threads at the same moment.
 */
antcache_status antcache_cache_flush(struct antcache_cache *cache);

/**
 * Writes what the cache holds and has done. `size` is sizeof(antcache_stats). Looks at every shard: microseconds.
 */
antcache_status antcache_cache_stats(const struct antcache_cache *cache,
                                     struct antcache_stats *stats,
                                     size_t size);

/**
 * Changes the bound on memory, in bytes; 0 for none. Where more is in use, entries go with the next calls.
 */
antcache_status antcache_cache_set_max_memory(struct antcache_cache *cache, uint64_t bytes);

/**
 * Does a piece of housekeeping, 100 microseconds at most: gives back the memory of entries that have ended, and follows a
 * bound that was lowered. Writes to `next_ms`, which may be NULL, in how many milliseconds to call again at the soonest;
 * UINT64_MAX where nothing waits. Stores do this on the side: it need only be called where there are none for long.
 */
antcache_status antcache_cache_tick(struct antcache_cache *cache,
                                    uint64_t *next_ms);

/**
 * Saves all entries to the file at `path`, while other threads use the cache. It is written beside it, as `path` and ".new",
 * and takes its place once it is whole and on the disk. Times to live are saved as moments of the cache's clock.
 * ANTCACHE_SYSTEM, and the error says why; the old file stays then. `error` may be NULL.
 */
antcache_status antcache_cache_save(const struct antcache_cache *cache,
                                    const char *path,
                                    struct antcache_error *error);

/**
 * Puts all entries of a file that antcache_cache_save wrote into a cache, in the place of what their keys had; what has
 * ended since stays out. The file is checked to its end before the first is put in. ANTCACHE_SYSTEM where it cannot be
 * read, ANTCACHE_DAMAGED where it is none, or not whole; ANTCACHE_FULL, after which what was put in stays. `error` may be
 * NULL.
 */
antcache_status antcache_cache_load(struct antcache_cache *cache,
                                    const char *path,
                                    struct antcache_error *error);

/**
 * Stores an array of `count` byte strings under a key; `elements` has their addresses, `element_lens` their lengths.
 * At most ANTCACHE_MAX_COUNT, and ANTCACHE_MAX_VALUE bytes in all. Otherwise as antcache_cache_set.
 */
antcache_status antcache_cache_set_array(struct antcache_cache *cache,
                                         const void *key,
                                         size_t key_len,
                                         const void *const *elements,
                                         const size_t *element_lens,
                                         size_t count,
                                         uint64_t ttl_ms,
                                         uint32_t flags);

/**
 * Stores an object of `count` fields under a key. Of a field that comes twice, the last value counts. Otherwise as
 * antcache_cache_set_array.
 */
antcache_status antcache_cache_set_object(struct antcache_cache *cache,
                                          const void *key,
                                          size_t key_len,
                                          const void *const *fields,
                                          const size_t *field_lens,
                                          const void *const *values,
                                          const size_t *value_lens,
                                          size_t count,
                                          uint64_t ttl_ms,
                                          uint32_t flags);

/**
 * Takes the value of a key, whatever its kind, to be freed by antcache_value_free. ANTCACHE_NOT_FOUND.
 */
antcache_status antcache_cache_get_value(const struct antcache_cache *cache,
                                         const void *key,
                                         size_t key_len,
                                         struct antcache_value **value);

/**
 * Frees a value. NULL is nothing to free.
 */
antcache_status antcache_value_free(struct antcache_value *value);

/**
 * Writes what a value is, and to `count`, which may be NULL, how many elements or fields it has; 1 for a string.
 */
antcache_status antcache_value_kind(const struct antcache_value *value,
                                    antcache_kind *kind,
                                    size_t *count);

/**
 * Writes the element `index` of an array, counted from 0, or with index 0 a string itself. The bytes belong to the value.
 * ANTCACHE_WRONG_TYPE for an object; ANTCACHE_NOT_FOUND past the end.
 */
antcache_status antcache_value_element(const struct antcache_value *value,
                                       size_t index,
                                       const void **data,
                                       size_t *len);

/**
 * Writes the field `index` of an object, counted from 0 in the order in which they were stored, and its value. The bytes
 * belong to the value. ANTCACHE_WRONG_TYPE where it is no object; ANTCACHE_NOT_FOUND past the end.
 */
antcache_status antcache_value_field(const struct antcache_value *value,
                                     size_t index,
                                     const void **field,
                                     size_t *field_len,
                                     const void **data,
                                     size_t *len);

/**
 * Writes the value of a field of an object. The bytes belong to the value. ANTCACHE_WRONG_TYPE where it is no object;
 * ANTCACHE_NOT_FOUND where it has no such field.
 */
antcache_status antcache_value_lookup(const struct antcache_value *value,
                                      const void *field,
                                      size_t field_len,
                                      const void **data,
                                      size_t *len);

/**
 * Sets every field to its default. `size` is sizeof(antcache_service_options).
 */
antcache_status antcache_service_options_init(struct antcache_service_options *options, size_t size);

/**
 * Makes a service, empty. `options` may be NULL for the defaults. ANTCACHE_INVALID where a field is out of range.
 */
antcache_status antcache_service_new(const struct antcache_service_options *options,
                                     struct antcache_service **service);

/**
 * Frees a service; its keys go with its last session. NULL is nothing to free.
 */
antcache_status antcache_service_free(struct antcache_service *service);

/**
 * Does a piece of housekeeping, 100 microseconds at most: evicts down to the bound on memory, gives back the memory of
 * entries that have ended. Writes to `next_ms`, which may be NULL, in how many milliseconds to call again; UINT64_MAX
 * where nothing waits until a session has done something. An event loop calls it at that time, and within a second
 * after it has served sessions.
 */
antcache_status antcache_service_tick(struct antcache_service *service,
                                      uint64_t *next_ms);

/**
 * Begins a session of a service. ANTCACHE_REFUSED where there are too many.
 */
antcache_status antcache_session_new(struct antcache_service *service, struct antcache_session **session);

/**
 * Ends a session, whatever is under way. NULL is nothing to free.
 */
antcache_status antcache_session_free(struct antcache_session *session);

/**
 * Takes bytes that have arrived; antcache_session_turn executes them. They may be any part of a request, or many.
 * ANTCACHE_CLOSED after the end; ANTCACHE_NO_ROOM where 128 MiB wait already.
 */
antcache_status antcache_session_feed(struct antcache_session *session,
                                      const void *data,
                                      size_t len);

/**
 * Says that nothing more will arrive. What was fed is still answered.
 */
antcache_status antcache_session_eof(struct antcache_session *session);

/**
 * Executes what was fed, for 100 microseconds at most, and writes what the session wants next. ANTCACHE_CLOSED after a
 * turn that wanted `close`.
 */
antcache_status antcache_session_turn(struct antcache_session *session,
                                      struct antcache_wants *wants);

/**
 * Writes where the next bytes to send are, and how many of them lie together; there may be more behind them. They stay
 * there until the next turn, antcache_session_sent or antcache_session_free. ANTCACHE_EMPTY where nothing waits.
 */
antcache_status antcache_session_output(struct antcache_session *session,
                                        const void **data,
                                        size_t *len);

/**
 * Says that the next `len` bytes of the output were sent. ANTCACHE_INVALID where fewer wait.
 */
antcache_status antcache_session_sent(struct antcache_session *session, size_t len);

/**
 * Starts a server. `settings` are `count` texts, names and values in turn, by the names that `ant-cache-cli serve --help`
 * lists without their dashes: {"host", "127.0.0.1", "port", "0", "runtime", "smol", "server", "pooled"}. Port 0 takes a free
 * one; "unix-socket" is the path of a Unix socket. The environment is not read. ANTCACHE_BAD_SETTINGS, ANTCACHE_LISTEN,
 * ANTCACHE_SYSTEM, and the error says why. `error` may be NULL.
 *
 * The server accepts connections when this returns, and goes on until antcache_server_stop or antcache_server_free.
 * Its threads take no signals.
 */
antcache_status antcache_server_start(const char *const *settings,
                                      size_t count,
                                      struct antcache_server **server,
                                      struct antcache_error *error);

/**
 * Writes the TCP port that the server listens on.
 */
antcache_status antcache_server_port(const struct antcache_server *server, uint16_t *port);

/**
 * Stops a server in good order and waits until it has: what was received is answered, for 5 seconds at most. A server
 * that has stopped may be stopped again. ANTCACHE_SYSTEM where the server had ended because the system refused what it
 * needs, or not all changes are on the disk.
 */
antcache_status antcache_server_stop(struct antcache_server *server);

/**
 * Waits until the process gets SIGINT or SIGTERM, or another thread stops the server; then stops it in good order. Both
 * signals must be blocked in all other threads of the program, or the system may give them to one of those: block
 * them before the first thread is started. The program's handlers of them are not called meanwhile.
 */
antcache_status antcache_server_run(struct antcache_server *server);

/**
 * Frees a server, which it stops first. NULL is nothing to free.
 */
antcache_status antcache_server_free(struct antcache_server *server);

/**
 * Frees a reply and its elements. NULL is nothing to free; an element is not to be freed for itself.
 */
antcache_status antcache_reply_free(struct antcache_reply *reply);

/**
 * Sets every field to its default. `size` is sizeof(antcache_client_options).
 */
antcache_status antcache_client_options_init(struct antcache_client_options *options, size_t size);

/**
 * Connects to a server: "host", "host:port", "[::1]:port", "/path" of a Unix socket; the port is 8890 where there is none.
 * `options` may be NULL for the defaults, `error` too. ANTCACHE_BAD_SETTINGS, ANTCACHE_CONNECT; ANTCACHE_SERVER_ERROR where
 * the server refuses the password or the version.
 */
antcache_status antcache_client_connect(const char *address,
                                        const struct antcache_client_options *options,
                                        struct antcache_client **client,
                                        struct antcache_error *error);

/**
 * Closes a connection. NULL is nothing to free.
 */
antcache_status antcache_client_free(struct antcache_client *client);

/**
 * Replaces the connection, whether it still lives or not, by a new one to the same address. What was appended is
 * forgotten, and so are replies that were not taken. As antcache_client_connect.
 */
antcache_status antcache_client_reconnect(struct antcache_client *client,
                                          struct antcache_error *error);

/**
 * Whether there is a connection, as far as the system knows: ANTCACHE_OK or ANTCACHE_NOT_CONNECTED.
 */
antcache_status antcache_client_is_connected(const struct antcache_client *client);

/**
 * Sends a request of `argc` words, the command's name first, and waits for its reply, to be freed by
 * antcache_reply_free. `argv_lens` has the words' lengths; it may be NULL where all are text. An error that the server
 * answers is ANTCACHE_SERVER_ERROR, and not a reply. ANTCACHE_LOST, ANTCACHE_TIMEOUT, ANTCACHE_NOT_CONNECTED,
 * ANTCACHE_PROTOCOL. `error` may be NULL.
 */
antcache_status antcache_client_command(struct antcache_client *client,
                                        size_t argc,
                                        const void *const *argv,
                                        const size_t *argv_lens,
                                        struct antcache_reply **reply,
                                        struct antcache_error *error);

/**
 * Adds a request to the pipeline, as antcache_client_command takes it. Nothing is sent yet.
 */
antcache_status antcache_client_append(struct antcache_client *client,
                                       size_t argc,
                                       const void *const *argv,
                                       const size_t *argv_lens);

/**
 * Sends what was appended, and waits until all replies are there to be taken. However long the pipeline, it does not
 * block itself: replies are read while requests are still being sent. Failures as of antcache_client_command; after one
 * nothing of the pipeline is left. `error` may be NULL.
 */
antcache_status antcache_client_flush(struct antcache_client *client,
                                      struct antcache_error *error);

/**
 * Takes the next reply of the pipeline, to be freed by antcache_reply_free; flushes first where all that came are taken.
 * Replies come in the order of the requests. An error that the server answered is a reply in its place.
 * ANTCACHE_EMPTY where every request that was appended has its reply. `error` may be NULL.
 */
antcache_status antcache_client_get_reply(struct antcache_client *client,
                                          struct antcache_reply **reply,
                                          struct antcache_error *error);

/**
 * GET: the string of a key in new memory, to be freed by antcache_free. ANTCACHE_NOT_FOUND. Failures as of
 * antcache_client_command.
 */
antcache_status antcache_client_get(struct antcache_client *client,
                                    const void *key,
                                    size_t key_len,
                                    void **value,
                                    size_t *value_len,
                                    struct antcache_error *error);

/**
 * SET: `ttl_ms` is the time to live in milliseconds, 0 for no end; `flags` is 0, ANTCACHE_NX or ANTCACHE_XX.
 * ANTCACHE_NOT_STORED where the condition is not met. Failures as of antcache_client_command.
 */
antcache_status antcache_client_set(struct antcache_client *client,
                                    const void *key,
                                    size_t key_len,
                                    const void *value,
                                    size_t value_len,
                                    uint64_t ttl_ms,
                                    uint32_t flags,
                                    struct antcache_error *error);

/**
 * DEL of one key. ANTCACHE_NOT_FOUND where it had no entry. Failures as of antcache_client_command.
 */
antcache_status antcache_client_delete(struct antcache_client *client,
                                       const void *key,
                                       size_t key_len,
                                       struct antcache_error *error);

/**
 * PEXPIRE, or PERSIST where `ttl_ms` is 0: gives a key a new time to live. ANTCACHE_NOT_FOUND where there is nothing to
 * change. Failures as of antcache_client_command.
 */
antcache_status antcache_client_touch(struct antcache_client *client,
                                      const void *key,
                                      size_t key_len,
                                      uint64_t ttl_ms,
                                      struct antcache_error *error);

/**
 * INCRBY: adds `by`, which may be negative, and writes the sum to `sum`, which may be NULL. Failures as of
 * antcache_client_command.
 */
antcache_status antcache_client_incr(struct antcache_client *client,
                                     const void *key,
                                     size_t key_len,
                                     int64_t by,
                                     int64_t *sum,
                                     struct antcache_error *error);

/**
 * Sets every field to its default. `size` is sizeof(antcache_pool_options).
 */
antcache_status antcache_pool_options_init(struct antcache_pool_options *options, size_t size);

/**
 * Makes a pool without connections; they are made when they are needed. `address` is as of antcache_client_connect;
 * `options` may be NULL for the defaults, and `error` too. ANTCACHE_BAD_SETTINGS.
 */
antcache_status antcache_pool_new(const char *address,
                                  const struct antcache_pool_options *options,
                                  struct antcache_pool **pool,
                                  struct antcache_error *error);

/**
 * Closes the connections of a pool. NULL is nothing to free.
 */
antcache_status antcache_pool_free(struct antcache_pool *pool);

/**
 * Sends a request over a connection of the pool, as antcache_client_command. ANTCACHE_TIMEOUT also where no connection
 * came free in time.
 */
antcache_status antcache_pool_command(struct antcache_pool *pool,
                                      size_t argc,
                                      const void *const *argv,
                                      const size_t *argv_lens,
                                      struct antcache_reply **reply,
                                      struct antcache_error *error);

/**
 * Sends `count` requests together over one connection of the pool, and waits for all replies. `argcs` has the number of
 * words of each request; `argv` and `argv_lens` have the words of all of them, one request behind the other, as
 * antcache_client_command takes them. The reply is an array with the reply of each request in its place, an error that
 * the server answered among them. Failures as of antcache_pool_command.
 */
antcache_status antcache_pool_pipeline(struct antcache_pool *pool,
                                       size_t count,
                                       const size_t *argcs,
                                       const void *const *argv,
                                       const size_t *argv_lens,
                                       struct antcache_reply **replies,
                                       struct antcache_error *error);

/**
 * Sets every field to its default. `size` is sizeof(antcache_sharded_options).
 */
antcache_status antcache_sharded_options_init(struct antcache_sharded_options *options, size_t size);

/**
 * Makes a client without nodes. `options` may be NULL for the defaults, and `error` too. ANTCACHE_BAD_SETTINGS for a name
 * that is none.
 */
antcache_status antcache_sharded_new(const struct antcache_sharded_options *options,
                                     struct antcache_sharded **sharded,
                                     struct antcache_error *error);

/**
 * Closes all connections. NULL is nothing to free.
 */
antcache_status antcache_sharded_free(struct antcache_sharded *sharded);

/**
 * Adds a node. `name` decides which keys it has: a node that moves to another address keeps its keys if it keeps its name;
 * NULL for twemproxy's name of the address. `weight` is its share, 1 for all alike. It is not connected to before a
 * request needs it, and keys that are its own from now on are not moved. ANTCACHE_BAD_SETTINGS for no address, a name
 * that there is already, or a weight of 0. `error` may be NULL.
 */
antcache_status antcache_sharded_add(struct antcache_sharded *sharded,
                                     const char *name,
                                     const char *address,
                                     uint32_t weight,
                                     struct antcache_error *error);

/**
 * Removes the node of a name; its keys go to the others. ANTCACHE_NOT_FOUND where there is none.
 */
antcache_status antcache_sharded_remove(struct antcache_sharded *sharded, const char *name);

/**
 * Writes the name of the node that has a key now, a NUL behind it, into `name`, which has `capacity` bytes: 256 are always
 * enough. ANTCACHE_NOT_FOUND where there is no node; ANTCACHE_NO_ROOM.
 */
antcache_status antcache_sharded_node_of(const struct antcache_sharded *sharded,
                                         const void *key,
                                         size_t key_len,
                                         char *name,
                                         size_t capacity);

/**
 * Writes what was seen of the node `index`, counted from 0 in the order in which they came. `size` is
 * sizeof(antcache_node_stats). ANTCACHE_NOT_FOUND past the last one.
 */
antcache_status antcache_sharded_node_stats(const struct antcache_sharded *sharded,
                                            size_t index,
                                            struct antcache_node_stats *stats,
                                            size_t size);

/**
 * Sends a request to the node of its key, as antcache_client_command. One with many keys (MGET, MSET, DEL, UNLINK, EXISTS,
 * TOUCH) is split by node, all parts are sent before a reply is waited for, and the replies become one, in the order
 * of the keys. ANTCACHE_INVALID for a command without a key, or whose keys are on different nodes and which cannot be
 * split; ANTCACHE_NODE_DOWN. The error has the name of the node that failed.
 */
antcache_status antcache_sharded_command(struct antcache_sharded *sharded,
                                         size_t argc,
                                         const void *const *argv,
                                         const size_t *argv_lens,
                                         struct antcache_reply **reply,
                                         struct antcache_error *error);

/**
 * Sends `count` requests together, each to the node of its key or split as antcache_sharded_command does it, and waits for
 * all replies; the words are as of antcache_pool_pipeline. The reply is an array with the reply of each request in its
 * place. A node that fails takes down its own requests only: their replies are errors that begin with the name of a
 * status, such as "NODE_DOWN" or "TIMEOUT", and name the node.
 */
antcache_status antcache_sharded_pipeline(struct antcache_sharded *sharded,
                                          size_t count,
                                          const size_t *argcs,
                                          const void *const *argv,
                                          const size_t *argv_lens,
                                          struct antcache_reply **replies,
                                          struct antcache_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ANTCACHE_H */
