-- A queue that delivers again. K[2]: the numbers of what waits, in the order of arrival; K[6]: all messages by their
-- number; K[7]: by number, how often a message was delivered, and if it is in flight who has it and since when;
-- K[8]: 'life:number' of what is in flight, so that each one's stands together.

-- Message `number` waits again, having been delivered so often. After shutdown(immediate=True) it is dropped.
-- Returns how many wait more.
local function give(number, count, life)
  call('ZREM', K[8], life .. ':' .. number)
  if call('HGET', K[1], 'closed') == '2' then
    call('HDEL', K[7], number)
    call('HDEL', K[6], number)
    return 0
  end
  if count > 0 then call('HSET', K[7], number, count) else call('HDEL', K[7], number) end
  call('ZADD', K[2], number, number)
  call('HINCRBY', K[1], 'bytes', call('HSTRLEN', K[6], number) - 1)
  return 1
end

-- Wakes who waits until all is done, if it is.
local function done_with()
  if call('EXISTS', K[6]) == 0 then ring(K[5], 1e9) end
end

-- Brings back what the dead hold; how many.
local function recover()
  local back, from, dead = 0, '-', false
  while true do
    local held = call('ZRANGEBYLEX', K[8], from, '+', 'LIMIT', 0, 1)[1]
    if not held then break end
    local life = string.match(held, '^([^:]*):')
    if not alive(life) then
      dead = true
      for _, entry in ipairs(call('ZRANGEBYLEX', K[8], '[' .. life .. ':', '(' .. life .. ';')) do
        local number = string.sub(entry, #life + 2)
        local count = string.match(call('HGET', K[7], number) or '1', '^%d+')
        back = back + give(number, tonumber(count), life)
      end
    end
    from = '[' .. life .. ';' -- behind all that begins with 'life:'
  end
  if back > 0 then ring(K[3], back) end
  if dead then done_with() end
  return back
end
