-- What stands around every script's body. See script.rs for who sends what.
--
-- KEYS: the client's hash, then the object's keys. ARGV: slot, sequence number ('' if nothing is changed: such a
-- call is simply asked again; with a '!' if an earlier sending of the slot is still under way), time to live in ms (0: none), prefix, whether the object must be there, then the
-- body's arguments.
local call = redis.call
local client, slot, seq, ttl, prefix = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local me = string.sub(client, #prefix + 9) -- behind '<prefix>:client:'
local K, A = {}, {}
for i = 2, #KEYS do K[i - 1] = KEYS[i] end
for i = 6, #ARGV do A[i - 5] = ARGV[i] end

-- The server's time, in ms.
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether that client lives, so far as anybody knows.
local function alive(id)
  return call('EXISTS', prefix .. ':client:' .. id) == 1
end

-- Enters who waits; who is there keeps his place.
local function wait(waiters, member)
  if member and member ~= '' then
    local time = call('TIME')
    -- Without memory for it he looks by himself.
    redis.pcall('ZADD', waiters, 'NX', string.format('%.0f', time[1] * 1000000 + time[2]), member)
  end
end

-- Strikes out who has what he waited for.
local function leave(waiters, member)
  if member and member ~= '' then call('ZREM', waiters, member) end
end

-- Wakes the first n of those who wait and live; returns how many there were.
local function ring(waiters, n)
  local rung = 0
  while rung < n do
    local first = call('ZPOPMIN', waiters)
    if not first[1] then break end
    local id, number = string.match(first[1], '^([^:]*):(.*)$')
    -- What has been done is not to fail because somebody can't be told: he looks by himself.
    local heard = id and alive(id) and redis.pcall('PUBLISH', prefix .. ':wake:' .. id, number)
    if type(heard) == 'number' and heard > 0 then rung = rung + 1 end
  end
  return rung
end

-- What gives something back begins with this: a server refuses what needs memory it has not, but not behind a write
-- that needs none.
local function whatever_memory() call('HDEL', K[1], '') end

local number, late = string.match(seq, '^(%d+)(!?)$')
number = tonumber(number)
if number then
  local record = call('HGET', client, slot)
  if record then
    local colon = string.find(record, ':', 1, true)
    local kept = tonumber(string.sub(record, 1, colon - 1))
    if kept == number then return cmsgpack.unpack(string.sub(record, colon + 1)) end
    if kept > number then return redis.error_reply('PROCESSIONSTALE an older call came late') end
  elseif call('EXISTS', client) == 0 then
    return redis.error_reply('PROCESSIONOVER the lease of this client is over')
  end
end
if ARGV[5] == '1' and call('EXISTS', K[1]) == 0 then
  return redis.error_reply('PROCESSIONGONE ' .. K[1])
end

local function body()
--BODY--
end

local reply, changed = body()
-- A sending that is still under way is to meet a record, whatever this one did: or it would be done as well.
if number and (changed ~= false or late == '!') then
  -- Without memory for the record the reply counts all the same: what was taken is not lost.
  redis.pcall('HSET', client, slot, number .. ':' .. cmsgpack.pack(reply))
end
if ttl > 0 then
  for i = 1, #K do call('PEXPIRE', K[i], ttl) end
end
return reply
