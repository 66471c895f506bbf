"""What both sharded clients share: which node a call goes to, what becomes of nodes that fail, and how calls that
concern several nodes are split and joined. No I/O, so that the blocking and the asyncio client differ in that alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from ._antcache import Profile, Ring
from .errors import ConnectionError, DataError, DataTypeError, NodeDownError, PoolExhaustedError, TimeoutError

if TYPE_CHECKING:
    from typing_extensions import Self

    Key = str | bytes
    Seconds = timedelta | int | float

#: Stands for "no result but an exception".
RAISE: Any = object()

C = TypeVar("C")


@dataclass(frozen=True)
class Node:
    """A server of a sharded client.

    Its ``name`` decides which keys it has: one that moves to another address keeps its keys if it keeps its name. Without
    one it is named by its address, as twemproxy does it. One of ``weight`` 2 has twice as many keys as one of weight 1.
    """

    host: str = "127.0.0.1"
    port: int = 8890
    weight: int = 1
    name: str | None = None
    unix_socket: str | None = None

    @classmethod
    def parse(cls, node: Node | str | tuple[str, int], weight: int | None = None) -> Node:
        """A node of what :class:`ShardedClient` accepts for one: ``"host:port"``, ``"[::1]:port"``, ``"/path"``, a tuple.

        >>> Node.parse("10.0.0.1:8890")
        Node(host='10.0.0.1', port=8890, weight=1, name=None, unix_socket=None)
        """
        if isinstance(node, Node):
            if weight is not None and node.weight not in (1, weight):
                raise ValueError(f"node {node.label} has two weights, {node.weight} and {weight}")
            return node if weight is None else cls(node.host, node.port, weight, node.name, node.unix_socket)
        if isinstance(node, tuple):
            host, port = node
            return cls(host, port, 1 if weight is None else weight)
        if node.startswith("/"):
            return cls(weight=1 if weight is None else weight, unix_socket=node)
        host, colon, port_text = node.rpartition(":")
        if not colon:
            return cls(node, weight=1 if weight is None else weight)
        if not port_text.isdecimal() or not 0 < int(port_text) < 65536 or not host:
            raise ValueError(f"{node!r} is no node: host:port, [IPv6]:port or /path of a Unix socket")
        return cls(host.removeprefix("[").removesuffix("]"), int(port_text), 1 if weight is None else weight)

    @property
    def label(self) -> str:
        """The name by which keys are placed."""
        if self.name is not None:
            return self.name
        return self.unix_socket if self.unix_socket is not None else Ring.name(self.host, self.port)


class NodeStats(NamedTuple):
    """What a sharded client knows of one of its nodes."""

    #: The name of the node.
    name: str
    #: Its share of the keys, beside the others'.
    weight: int
    #: Calls that it has answered.
    answered: int
    #: Calls that failed: no connection, or no answer in time.
    failed: int
    #: Calls that were not sent because it was down.
    avoided: int
    #: How often it went down.
    ejections: int
    #: Whether it counts as down.
    down: bool
    #: Seconds until it is tried again; 0 while it is up.
    retry_in: float


@dataclass
class Member(Generic[C]):
    """A node in use, with its client. Its number in the ring changes when one before it is removed."""

    node: Node
    client: C
    number: int
    answered: int = 0
    failed: int = 0
    avoided: int = 0
    ejections: int = 0


@dataclass
class Call:
    """One call on one key: a method of a client, and what it returns where the node is down and nodes may be missing."""

    method: str
    key: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    miss: Any = RAISE
    #: Whether the arguments are complete, the key one of them as the server knows it.
    raw: bool = False

    def on(self, target: Any) -> Any:
        """Calls the method on a client, or on what collects calls for one."""
        method = getattr(target, self.method)
        return method(*self.args, **self.kwargs) if self.raw else method(self.key, *self.args, **self.kwargs)


class Shards(Generic[C]):
    """The nodes, and the ring over them."""

    def __init__(
        self,
        nodes: Sequence[Node | str | tuple[str, int]],
        make: Callable[[Node], C],
        *,
        weights: Sequence[int] | None,
        on_node_down: str,
        distribution: str,
        hash: str,
        hash_tag: str | None,
        failures: int,
        retry_after: float,
        longest_retry_after: float,
        namespace: str | bytes | None,
    ) -> None:
        if on_node_down not in ("raise", "miss", "rehash"):
            raise ValueError('on_node_down must be "raise", "miss" or "rehash"')
        if weights is not None and len(weights) != len(nodes):
            raise ValueError(f"{len(nodes)} nodes have {len(weights)} weights")
        if not nodes:
            raise ValueError("a sharded client needs at least one node")
        shares: Sequence[int | None] = weights if weights is not None else [None] * len(nodes)
        parsed = [Node.parse(node, share) for node, share in zip(nodes, shares, strict=True)]
        self.on_node_down = on_node_down
        self.ring = Ring(
            [(node.label, node.weight) for node in parsed],
            distribution=distribution,
            hash=hash,
            hash_tag=hash_tag,
            failures=failures,
            retry_after=retry_after,
            longest_retry_after=longest_retry_after,
            rehash=on_node_down == "rehash",
        )
        self.profile = Profile("ring", namespace=namespace)
        self.plain = Profile("ring")
        # Placing is native and needs no lock of ours; this one keeps the numbers of members those of the ring.
        self.lock = threading.Lock()
        self.make = make
        self.members: list[Member[C]] = []
        for number, node in enumerate(parsed):
            self.members.append(Member(node, make(node), number))

    # Placing.

    def key(self, call: Call) -> bytes:
        """The key as the server knows it, which is what places it."""
        if call.raw and isinstance(call.key, bytes):
            return call.key
        return (self.plain if call.raw else self.profile).key(call.key, call.method)

    def place(self, key: Any) -> str | None:
        """The name of the node that has a key."""
        with self.lock:
            number = self.ring.place(self.profile.key(key, "place"))
            return None if number is None else self.members[number].node.label

    def route(self, call: Call) -> Member[C] | NodeDownError:
        """The member that a call goes to, or why it goes to none."""
        key = self.key(call)
        with self.lock:
            placed = self.ring.route(key)
            if placed is None:
                return NodeDownError("all nodes are down", node="ring", command=call.method)
            number, admitted = placed
            member = self.members[number]
            if admitted:
                return member
            member.avoided += 1
            _, retry_in = self.ring.health(number)
        message = f"the node is down, and is tried again in {retry_in:.1f} s"
        return NodeDownError(message, node=member.node.label, command=call.method)

    def missing(self, miss: Any, error: Exception) -> Any:
        """What a call returns whose node does not answer."""
        if self.on_node_down == "miss" and miss is not RAISE:
            return miss
        raise error

    def answered(self, member: Member[C]) -> None:
        """A member has answered, be it with an error."""
        member.answered += 1
        if member.failed:
            self.locked(member, self.ring.succeeded)

    def failed(self, member: Member[C]) -> bool:
        """A member has not answered. Whether its keys are now another's."""
        with self.lock:
            member.failed += 1
            if not self.holds(member):
                return True
            if self.ring.failed(member.number):
                member.ejections += 1
            return self.on_node_down == "rehash" and self.ring.is_down(member.number)

    def locked(self, member: Member[C], tell: Callable[[int], Any]) -> None:
        with self.lock:
            if self.holds(member):
                tell(member.number)

    def holds(self, member: Member[C]) -> bool:
        """Whether a member is (still) one."""
        return member.number < len(self.members) and self.members[member.number] is member

    # Nodes that come and go.

    def add(self, node: Node | str | tuple[str, int], weight: int | None) -> None:
        parsed = Node.parse(node, weight)
        with self.lock:
            number = self.ring.add(parsed.label, parsed.weight)
            self.members.append(Member(parsed, self.make(parsed), number))

    def remove(self, name: str) -> C:
        """Takes a node out, and returns its client to be closed."""
        with self.lock:
            for member in self.members:
                if member.node.label == name:
                    break
            else:
                raise ValueError(f"there is no node {name!r}")
            if len(self.members) == 1:
                raise ValueError("the last node cannot be removed")
            self.ring.remove(member.number)
            del self.members[member.number]
            for number, other in enumerate(self.members):
                other.number = number
            return member.client

    def stats(self) -> list[NodeStats]:
        with self.lock:
            return [self.stats_of(member) for member in self.members]

    def stats_of(self, member: Member[C]) -> NodeStats:
        _, retry_in = self.ring.health(member.number)
        return NodeStats(
            member.node.label,
            member.node.weight,
            member.answered,
            member.failed,
            member.avoided,
            member.ejections,
            self.ring.is_down(member.number),
            retry_in,
        )

    # Calls on several nodes.

    def scatter(self, calls: Sequence[Call], places: Iterable[int], results: list[Any]) -> list[tuple[Member[C], list[int]]]:
        """The places of calls by their nodes, in the order of the nodes. Those whose node is down get their result."""
        parts: dict[int, tuple[Member[C], list[int]]] = {}
        for place in places:
            call = calls[place]
            member = self.route(call)
            if isinstance(member, NodeDownError):
                results[place] = self.outcome(call, member)
            else:
                parts.setdefault(id(member), (member, []))[1].append(place)
        return sorted(parts.values(), key=lambda part: part[0].number)

    def outcome(self, call: Call, error: Exception) -> Any:
        """The result of a call that has failed, which may be the exception itself."""
        return call.miss if self.on_node_down == "miss" and call.miss is not RAISE else error

    def gather(
        self, calls: Sequence[Call], parts: list[tuple[Member[C], list[int]]], replies: Sequence[Any], results: list[Any]
    ) -> list[int]:
        """Puts the replies of all parts (a list each, or an exception) in their places. Returns the places of calls
        that are to be tried once more, on the nodes that have their keys now."""
        again: list[int] = []
        for (member, places), reply in zip(parts, replies, strict=True):
            if not isinstance(reply, Exception):
                self.answered(member)
                for place, result in zip(places, reply, strict=True):
                    results[place] = result
            elif is_down(reply) and self.failed(member):
                again.extend(places)
            else:
                for place in places:
                    results[place] = self.outcome(calls[place], reply) if is_down(reply) else reply
        return again


def is_down(error: BaseException) -> bool:
    """Whether an exception tells that the node did not answer: not, if there was no connection to ask it by."""
    return isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, PoolExhaustedError)


def raise_first(results: Iterable[Any]) -> None:
    """Raises the first exception among results."""
    for result in results:
        if isinstance(result, Exception):
            raise result


def words_call(words: tuple[str | bytes | int, ...], decode: bool | None) -> Call:
    """A call of ``execute``, whose first argument is the key."""
    if len(words) < 2:
        command = str(words[0]) if words else "execute"
        raise DataError("it has no key that would tell its node", node="ring", command=command)
    return Call("execute", words[1], words, {"decode": decode}, raw=True)


def listed(keys: Iterable[Any]) -> Iterable[Any]:
    """The keys of a call that has several: not a string, whose characters nobody means."""
    if isinstance(keys, (str, bytes, bytearray, memoryview)):
        kind = type(keys).__name__
        raise DataTypeError(f"keys must be an iterable of str or bytes, not {kind}", node="ring", command="many")
    return keys


class Sharded(Generic[C]):
    """What :class:`ShardedClient` and :class:`AsyncShardedClient` have in common: all that waits for nobody."""

    #: The client of a node.
    _client: Callable[..., C]

    def __init__(
        self,
        nodes: Sequence[Node | str | tuple[str, int]],
        *,
        distribution: str = "ketama",
        hash: str = "fnv1a_64",
        weights: Sequence[int] | None = None,
        hash_tag: str | None = None,
        on_node_down: str = "raise",
        failures: int = 3,
        retry_after: float = 1.0,
        longest_retry_after: float = 30.0,
        **options: Any,
    ) -> None:
        def make(node: Node) -> C:
            return self._client(node.host, node.port, unix_socket=node.unix_socket, **options)

        self._shards: Shards[C] = Shards(
            nodes,
            make,
            weights=weights,
            on_node_down=on_node_down,
            distribution=distribution,
            hash=hash,
            hash_tag=hash_tag,
            failures=failures,
            retry_after=retry_after,
            longest_retry_after=longest_retry_after,
            namespace=options.get("namespace"),
        )
        self._serializer = options.get("serializer")

    @property
    def nodes(self) -> list[Node]:
        """The nodes, in their order."""
        return [member.node for member in self._shards.members]

    @property
    def serializer(self) -> Any:
        """What values pass through, if anything."""
        return self._serializer

    def node_of(self, key: Key) -> str | None:
        """The name of the node that a key is on; ``None`` where all are down and their keys others'."""
        return self._shards.place(key)

    def add_node(self, node: Node | str | tuple[str, int], weight: int | None = None) -> None:
        """Adds a node. Of n nodes then, about one key in n moves to it; every other stays where it is."""
        self._shards.add(node, weight)

    def stats(self) -> list[NodeStats]:
        """What is known of each node."""
        return self._shards.stats()


class CallQueue:
    """Calls that are collected, to be sent to all nodes at once. Every method returns the queue itself."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        #: What the last ``run`` returned.
        self.results: list[Any] = []

    def _add(self, call: Call) -> Self:
        self._calls.append(call)
        return self

    def get(self, key: Key, default: Any = None, *, decode: bool | None = None) -> Self:
        return self._add(Call("get", key, (default,), {"decode": decode}, miss=default))

    def set(self, key: Key, value: Any, ttl: Seconds | None = None, *, nx: bool = False, xx: bool = False) -> Self:
        return self._add(Call("set", key, (value, ttl), {"nx": nx, "xx": xx}, miss=False))

    def delete(self, key: Key) -> Self:
        return self._add(Call("delete", key, miss=False))

    def incr(self, key: Key, amount: int = 1) -> Self:
        return self._add(Call("incr", key, (amount,)))

    def decr(self, key: Key, amount: int = 1) -> Self:
        return self._add(Call("decr", key, (amount,)))

    def expire(self, key: Key, ttl: Seconds) -> Self:
        return self._add(Call("expire", key, (ttl,), miss=False))

    def persist(self, key: Key) -> Self:
        return self._add(Call("persist", key, miss=False))

    def ttl(self, key: Key) -> Self:
        return self._add(Call("ttl", key, miss=None))

    def touch(self, key: Key, ttl: Seconds | None = None) -> Self:
        return self._add(Call("touch", key, (ttl,), miss=False))

    def exists(self, key: Key) -> Self:
        return self._add(Call("exists", key, miss=False))

    def type(self, key: Key) -> Self:
        return self._add(Call("type", key, miss=None))

    def clear(self) -> None:
        """Forgets what was collected."""
        self._calls = []

    def _take(self) -> list[Call]:
        calls, self._calls = self._calls, []
        return calls

    def __len__(self) -> int:
        return len(self._calls)
