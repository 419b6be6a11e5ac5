"""What a server lets this user do, of what Procession does there: each command is tried."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ._doctor import Finding
from ._serverlook import Refused, Server, ok, problem, rights

# Of each command that scripts use, one that does no harm: on KEY, which is deleted.
COMMANDS = {
    "DECRBY": "KEY:n 1",
    "DEL": "KEY",
    "EXISTS": "KEY",
    "EXPIRE": "KEY 1",
    "GET": "KEY:s",
    "HDEL": "KEY:h x",
    "HEXISTS": "KEY:h x",
    "HGET": "KEY:h x",
    "HGETALL": "KEY:h",
    "HINCRBY": "KEY:h n 1",
    "HKEYS": "KEY:h",
    "HLEN": "KEY:h",
    "HMGET": "KEY:h x",
    "HSCAN": "KEY:h 0",
    "HSET": "KEY:h x y",
    "HSETNX": "KEY:h x y",
    "HSTRLEN": "KEY:h x",
    "HVALS": "KEY:h",
    "INCR": "KEY:n",
    "INCRBY": "KEY:n 1",
    "LINDEX": "KEY:l 0",
    "LINSERT": "KEY:l BEFORE x y",
    "LLEN": "KEY:l",
    "LMOVE": "KEY:l KEY:l LEFT LEFT",
    "LPOP": "KEY:l",
    "LPOS": "KEY:l x",
    "LPUSH": "KEY:l x",
    "LRANGE": "KEY:l 0 0",
    "LREM": "KEY:l 0 x",
    "LSET": "KEY:l 0 x",
    "LTRIM": "KEY:l 0 -1",
    "MEMORY": "USAGE KEY",
    "PEXPIRE": "KEY 1000",
    "PTTL": "KEY",
    "PUBLISH": "KEY:c x",
    "RENAME": "KEY:none KEY",
    "RPOP": "KEY:l",
    "RPUSH": "KEY:l x",
    "SADD": "KEY:t x",
    "SCARD": "KEY:t",
    "SET": "KEY:s x PX 10000",
    "SISMEMBER": "KEY:t x",
    "SMEMBERS": "KEY:t",
    "SREM": "KEY:t x",
    "STRLEN": "KEY:s",
    "TIME": "",
    "TYPE": "KEY",
    "UNLINK": "KEY:s KEY:h KEY:l KEY:z KEY:t KEY:n",
    "ZADD": "KEY:z 1 x",
    "ZCARD": "KEY:z",
    "ZCOUNT": "KEY:z 0 1",
    "ZINCRBY": "KEY:z 1 x",
    "ZMSCORE": "KEY:z x",
    "ZPOPMAX": "KEY:z",
    "ZPOPMIN": "KEY:z",
    "ZRANGE": "KEY:z 0 0",
    "ZRANGEBYLEX": "KEY:z - +",
    "ZRANGEBYSCORE": "KEY:z 0 1",
    "ZRANK": "KEY:z x",
    "ZREM": "KEY:z x",
    "ZREMRANGEBYSCORE": "KEY:z 0 1",
    "ZREVRANGE": "KEY:z 0 0",
    "ZREVRANGEBYLEX": "KEY:z + -",
    "ZSCORE": "KEY:z x",
}

# Runs each command, and returns those that this user may not, and what else is wrong with any.
# Wrong kinds of value and the like do not matter here. What is written goes within seconds at most.
_TRIAL = """
local refused, other = {}, ''
for i = 1, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[i], '%S+') do
    if string.sub(word, 1, 3) == 'KEY' then word = KEYS[1] .. string.sub(word, 4) end
    words[#words + 1] = word
  end
  local answer = redis.pcall(unpack(words))
  if type(answer) == 'table' and answer.err then
    local text = string.lower(answer.err)
    if string.find(text, 'noperm') or string.find(text, 'permission')
      or string.find(text, "can't run") or string.find(text, 'unknown') then
      refused[#refused + 1] = words[1]
    elseif string.find(text, '^%-?oom') or string.find(text, 'misconf')
      or string.find(text, 'readonly') or string.find(text, 'noreplicas') then
      other = answer.err
    end
  end
end
return {table.concat(refused, ' '), other}
"""


def permissions(server: Server) -> Iterator[Finding]:
    key = f"{server.prefix}:doctor:{os.urandom(8).hex()}"
    yield _scripts(server, key)
    try:
        listener = Server(server.url)
        listener.ask("SUBSCRIBE", f"{server.prefix}:wake:doctor{key[-16:]}")
    except Refused as refused:
        loses = "nothing, but who waits learns only by asking again and again"
        yield problem("subscribe", f"refused: {refused}", rights(server), loses)
    else:
        yield ok("subscribe", "works")


def _scripts(server: Server, key: str) -> Finding:
    last = "UNLINK"  # takes away what the others made
    names = [name for name in COMMANDS if name != last] + [last]
    try:
        sha = server.ask("SCRIPT", "LOAD", _TRIAL)
        commands = [f"{name} {COMMANDS[name]}" for name in names]
        refused, other = server.ask("EVALSHA", sha, 1, key, *commands)
    except Refused as error:
        if error.code == "READONLY":
            return problem("scripts", str(error), "give the address of the primary")
        if error.code == "CLUSTERDOWN":
            return problem("scripts", str(error), "give the address of one server, not a cluster's")
        return problem("scripts", f"refused: {error}", rights(server))
    if refused:
        found = f"these commands are refused: {refused.decode()}"
        return problem("scripts", found, rights(server))
    if other:
        found = f"writing is refused: {other.decode(errors='replace').lstrip('-')}"
        return problem("scripts", found, _mend(found))
    return ok("scripts", f"work, and may write below {server.prefix}:")


def _mend(refusal: str) -> str:
    """What helps where it is not the user's rights."""
    for code, advice in (
        ("OOM", "raise maxmemory, or take away what fills it"),
        ("MISCONF", "free the disk that it writes to; its log says what failed"),
        ("READONLY", "give the address of the primary"),
        ("NOREPLICAS", "start its replicas, or lower min-replicas-to-write"),
    ):
        if code in refusal:
            return advice
    return "see its log"
