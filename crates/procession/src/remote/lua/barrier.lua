-- All that is done to a barrier. A: what, waiter's member or '', an entry or what tells one from this client's
-- others.
--
-- K[1]: parties, count (who has come), state ('broken', 'busy' while an action runs). K[3]: entry -> 'w' and its
-- number (it waits), 'r' (it runs the action), 'p' (the barrier has opened for it), or 'b' (broken).
--
-- 'arrive', 'arrive-act': {0, entry, me}: to wait; {1, number}: the last one, and all may go on; {2, entry, me,
--   number}: the last one, who is to act; {3}: not yet, an action runs; {-1}: broken.
-- 'poll', 'release', 'give-up': {1, number}: passed; {0}: not yet; {-1}: broken; {-2}: the entry is lost.
-- 'abort', 'reset': {}. 'state': {broken, who waits, parties}.
local what, changed = A[1], false
local was = call('HMGET', K[1], 'parties', 'count', 'state')
local parties, count, state = tonumber(was[1] or 1), tonumber(was[2] or 0), was[3]

-- Decides for all who wait.
local function decide(outcome)
  for _, entry in ipairs(call('HKEYS', K[3])) do
    local place = call('HGET', K[3], entry)
    local kind = string.sub(place, 1, 1)
    if kind == 'w' or kind == 'r' then
      call('HSET', K[3], entry, outcome .. string.sub(place, 2))
    end
  end
  call('HSET', K[1], 'count', 0)
  count, changed = 0, true
  ring(K[2], 2147483647)
end

local function shatter()
  decide('b')
  call('HSET', K[1], 'state', 'broken')
  state = 'broken'
end

local function open()
  decide('p')
  call('HDEL', K[1], 'state')
end

local function clear()
  call('HDEL', K[1], 'state')
  decide('b')
end

-- Who has come and goes on, or gives up, is not to be kept by a lack of memory.
if what ~= 'arrive' and what ~= 'arrive-act' and what ~= 'state' then whatever_memory() end

-- Nobody waits for the dead, and what they have not fetched is dropped.
local dead = false
if count > 0 or call('HLEN', K[3]) > parties then
  local places = call('HGETALL', K[3])
  for i = 1, #places, 2 do
    if not alive(string.match(places[i], '^[^:]*')) then
      local kind = string.sub(places[i + 1], 1, 1)
      if kind == 'w' or kind == 'r' then
        dead = true
      else
        call('HDEL', K[3], places[i])
        changed = true
      end
    end
  end
  if dead then shatter() end
end

if what == 'arrive' or what == 'arrive-act' then
  if state == 'broken' then
    leave(K[2], A[2])
    return {-1}, changed
  end
  if state == 'busy' then
    wait(K[2], A[2])
    return {3}, changed
  end
  local entry = me .. ':' .. A[3]
  if count + 1 < parties then
    call('HSET', K[3], entry, 'w' .. count)
    call('HSET', K[1], 'count', count + 1)
    wait(K[2], A[2])
    return {0, entry, me}
  end
  leave(K[2], A[2])
  if what == 'arrive' then
    local number = count -- opening sets it back
    open()
    return {1, number}
  end
  call('HSET', K[3], entry, 'r' .. count)
  call('HSET', K[1], 'state', 'busy', 'count', count + 1)
  return {2, entry, me, count}
end

if what == 'poll' or what == 'release' or what == 'give-up' then
  local place = call('HGET', K[3], A[3])
  if not place then return {-2}, changed end
  local kind, number = string.sub(place, 1, 1), tonumber(string.sub(place, 2))
  if kind == 'w' and what == 'poll' then
    wait(K[2], A[2])
    return {0}, changed
  end
  if kind == 'r' and what == 'release' then
    open()
    kind = 'p'
  elseif kind == 'w' or kind == 'r' then
    shatter()
    kind = 'b'
  end
  call('HDEL', K[3], A[3])
  leave(K[2], A[2])
  if kind == 'p' then return {1, number} end
  return {-1}
end

if what == 'abort' then
  if state ~= 'broken' then shatter() end
elseif what == 'reset' then
  clear()
else
  local waiting = state == 'busy' and 0 or count
  return {state == 'broken' and 1 or 0, waiting, parties}, changed
end
return {}
