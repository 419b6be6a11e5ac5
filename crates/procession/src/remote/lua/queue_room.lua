-- How many of the messages there is room for, and how many bytes these have, the byte of each one's kind not
-- counted. The first stands behind args[before], the next ones `step` further; args[1] and args[2]: maxsize,
-- maxbytes; `count`: the command that says how many there are. A message that is larger than maxbytes may be in an empty queue.
local function room(args, before, step, count, used)
  local maxsize, maxbytes = tonumber(args[1]), tonumber(args[2])
  local n, sum = 0, 0
  if maxsize == 0 and maxbytes == 0 then
    for i = before + 1, #args, step do n, sum = n + 1, sum + #args[i] end
    return n, sum - n
  end
  local len = call(count, K[2])
  for i = before + 1, #args, step do
    local more = #args[i] - 1
    if maxsize > 0 and len + n >= maxsize then break end
    if maxbytes > 0 and len + n > 0 and used + sum + more > maxbytes then break end
    n, sum = n + 1, sum + more
  end
  return n, sum
end
