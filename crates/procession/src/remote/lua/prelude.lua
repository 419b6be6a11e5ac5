-- What stands around every script's body. See script.rs for who sends what: it leaves out the functions that a script
-- does not name, because a server makes each function anew in each call.
--
-- KEYS: the object's keys, then the client's hash. ARGV: the body's arguments, then slot, sequence number ('' if
-- nothing is changed: such a call is simply asked again; with a '!' if an earlier sending of the slot is still under
-- way), time to live in ms (0: none), prefix, '1' if the object must be there (and the body does not look itself: it
-- then says PROCESSIONGONE). What is not the body's stands last and is taken off: nothing has to be copied.
local call, K, A = redis.call, KEYS, ARGV
local last, n = #K, #A
local client, slot, seq, ttl, prefix, must = K[last], A[n - 4], A[n - 3], A[n - 2], A[n - 1], A[n]
K[last], A[n], A[n - 1], A[n - 2], A[n - 3], A[n - 4] = nil, nil, nil, nil, nil, nil
local me = string.sub(client, #prefix + 9) -- behind '<prefix>:client:'

-- The server's time, in ms.
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether that client lives, so far as anybody knows.
local function alive(id)
  return call('EXISTS', prefix .. ':client:' .. id) == 1
end

-- Enters who waits; who is there keeps his place, and so does who was woken and found nothing: behind an '@' he says
-- for how many us he has waited.
local function wait(waiters, member)
  if member and member ~= '' then
    local who, age = string.match(member, '^([^@]*)@?(%d*)$')
    local time = call('TIME')
    local since = time[1] * 1000000 + time[2] - (tonumber(age) or 0)
    -- Without memory for it he looks by himself.
    redis.pcall('ZADD', waiters, 'NX', string.format('%.0f', since), who)
    if ttl ~= '0' then call('PEXPIRE', waiters, ttl) end
  end
end

-- Strikes out who has what he waited for.
local function leave(waiters, member)
  if member and member ~= '' then call('ZREM', waiters, (string.match(member, '^[^@]*'))) end
end

-- Wakes the first n of those who wait and live; returns how many there were.
local function ring(waiters, n)
  local rung = 0
  while rung < n do
    local first = call('ZPOPMIN', waiters)
    if not first[1] then break end
    local id, number = string.match(first[1], '^([^:]*):(.*)$')
    -- What has been done is not to fail because somebody can't be told: he looks by himself.
    local lives = id and call('EXISTS', prefix .. ':client:' .. id) == 1
    local heard = lives and redis.pcall('PUBLISH', prefix .. ':wake:' .. id, number)
    if type(heard) == 'number' and heard > 0 then rung = rung + 1 end
  end
  return rung
end

-- What gives something back begins with this: a server refuses what needs memory it has not, but not behind a write
-- that needs none.
local function whatever_memory() call('HDEL', K[1], '') end

local number, late
if seq ~= '' then
  late = string.byte(seq, -1) == 33 -- '!'
  number = tonumber(late and string.sub(seq, 1, -2) or seq)
  local record = call('HGET', client, slot)
  if record then
    -- The number and the reply, each as MessagePack.
    local at, kept = cmsgpack.unpack_one(record)
    if kept == number then
      at, kept = cmsgpack.unpack_one(record, at)
      return kept
    end
    if kept > number then return redis.error_reply('PROCESSIONSTALE an older call came late') end
  elseif call('EXISTS', client) == 0 then
    return redis.error_reply('PROCESSIONOVER the lease of this client is over')
  end
end
if must == '1' and call('EXISTS', K[1]) == 0 then return redis.error_reply('PROCESSIONGONE ' .. K[1]) end

-- Returns the reply; false if nothing was changed but who waits; and which part it may have made, but for that of those
-- who wait: false: none, nil: any.
local function body()
--BODY--
end

local reply, changed, made = body()
-- A sending that is still under way is to meet a record, whatever this one did: or it would be done as well.
if number and (changed ~= false or late) then
  -- Without memory for the record the reply counts all the same: what was taken is not lost.
  redis.pcall('HSET', client, slot, cmsgpack.pack(number, reply))
end
if ttl ~= '0' then
  -- All parts have as long to live as the hash, or longer. To say it of each takes time, so all are renewed together
  -- when a tenth is over, and else only what may be new.
  local left, full = call('PTTL', K[1]), tonumber(ttl)
  if left < full * 0.9 then
    for i = 1, #K do call('PEXPIRE', K[i], ttl) end
  elseif made ~= false then
    if left < full then left = ttl end
    if made then call('PEXPIRE', made, left) else for i = 2, #K do call('PEXPIRE', K[i], left) end end
  end
end
return reply
