-- So many messages are neither in the queue nor will anybody say that they are done.
local function dropped(n)
  local todo = tonumber(call('HGET', K[1], 'todo') or 0)
  if todo == 0 then return end
  todo = math.max(0, todo - n)
  call('HSET', K[1], 'todo', todo)
  if todo == 0 then ring(K[5], 1e9) end
end
