-- A: the value; '1' if it must have been another one, which. {1}; {0, value}: it is this one.
if A[2] == '1' then
  local value = call('HGET', K[1], 'value')
  if value ~= A[3] then return {0, value}, false end
end
call('HSET', K[1], 'value', A[1])
return {1}
