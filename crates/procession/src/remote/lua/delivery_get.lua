-- Takes messages, which are in flight until somebody says that they are done. A: how many at most, whom there is to
-- wake at the other end (see vacate), the waiter. Returns how many, the client, and number, count and message of each.
-- What the dead held is looked for where nothing waits, and now and then elsewhere: it stands before all that came later.
local time = now()
local meta = call('HMGET', K[1], 'kind', 'looked')
if not meta[1] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
local looked = tonumber(meta[2] or 0)
local is_due = time < looked or time >= looked + 250
if is_due then recover() end
local most = few(tonumber(A[1]), 'ZCARD')
local found = call('ZPOPMIN', K[2], most)
if not found[1] then
  -- Who finds nothing looks in any case.
  if is_due or recover() == 0 then return nothing(A[3]) end
  found = call('ZPOPMIN', K[2], most)
  if not found[1] then return nothing(A[3]) end
end
local taken, sum = {#found / 2, me}, 0
for i = 1, #found, 2 do
  local number = found[i]
  local message, count = call('HGET', K[6], number), tonumber(call('HGET', K[7], number) or 0) + 1
  if not message then return redis.error_reply('PROCESSIONCORRUPT message ' .. number .. ' is not there') end
  call('HSET', K[7], number, string.format('%.0f %s %.0f', count, me, time))
  call('ZADD', K[8], 0, me .. ':' .. number)
  taken[#taken + 1], taken[#taken + 2], taken[#taken + 3] = tonumber(number), count, message
  sum = sum + #message - 1
end
vacate(taken[1], sum, A[2], A[3])
if is_due then call('HSET', K[1], 'looked', time) end
return taken
