-- Claims an object for a time, or ends that. A: ms; 0 ends it. {1}; {0}: another one has it.
local claim = call('HGET', K[1], 'claim')
local id, till = string.match(claim or '', '^(%w+):(%d+)$')
if id and id ~= me and tonumber(till) > now() and alive(id) then return {0}, false end
if A[1] == '0' then
  call('HDEL', K[1], 'claim')
else
  call('HSET', K[1], 'claim', me .. ':' .. string.format('%.0f', now() + tonumber(A[1])))
end
return {1}
