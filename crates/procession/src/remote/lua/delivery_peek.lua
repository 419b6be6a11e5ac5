-- Looks at the message that would be taken next. A: the waiter.
local back = recover()
local number = call('ZRANGE', K[2], 0, 0)[1]
local message = number and call('HGET', K[6], number)
if not message then
  local reply = nothing(A[1])
  return reply, back > 0
end
seen_by(A[1])
return {1, message}, back > 0
