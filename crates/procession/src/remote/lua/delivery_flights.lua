-- What is in flight: number, who has it, how often it was delivered, for how many ms he has it, its bytes, and
-- what his client says of itself: pid and host.
local time, all = now(), {}
local flights = call('ZRANGE', K[8], 0, -1)
for i = 1, #flights do
  local life, number = string.match(flights[i], '^([^:]*):(.*)$')
  local count, since = string.match(call('HGET', K[7], number) or '', '^(%d+) %S+ (%d+)$')
  if count then
    local at = #all
    all[at + 1], all[at + 2], all[at + 3] = tonumber(number), life, tonumber(count)
    all[at + 4], all[at + 5] = math.max(0, time - tonumber(since)), call('HSTRLEN', K[6], number) - 1
    local client = call('HMGET', prefix .. ':client:' .. life, 'pid', 'host')
    all[at + 6], all[at + 7] = client[1], client[2]
  end
end
return all, false
