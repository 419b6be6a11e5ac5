-- So many messages, or fewer: no more than Lua's stack holds, and so that a reply of many has some 4 MB.
local function few(most, count)
  if most > 1 then
    most = math.min(most, 4000)
    local len, bytes = call(count, K[2]), tonumber(call('HGET', K[1], 'bytes') or 0)
    if bytes > 4194304 and len > 0 then return math.max(1, math.min(most, math.floor(4194304 * len / bytes))) end
  end
  return most
end

-- What is to be said where nothing is found; the waiter enters, if there can be something later.
local function nothing(waiter)
  if call('HEXISTS', K[1], 'closed') == 1 then
    leave(K[3], waiter)
    return {-1}, false, false
  end
  wait(K[3], waiter)
  return {0}, false, false
end

-- So many messages, of so many bytes, are out. Wakes who waits for room: 'n': as many; 'b': where bytes are
-- bounded more of them may fit, or the first may be too large.
local function vacate(n, bytes, bounded, waiter)
  call('HINCRBY', K[1], 'bytes', -bytes)
  leave(K[3], waiter)
  if bounded == 'n' then ring(K[4], n) elseif bounded == 'b' then ring(K[4], 64) end
end
