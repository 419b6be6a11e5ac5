-- Whether a hold is what it was. A: token, thread. {1}: yes; {0}: somebody else gave it back; {2}: it was lost.
local was = call('HMGET', K[1], 'holder', 'thread', 'token', 'given')
if was[1] == me and was[2] == A[2] and was[3] == A[1] and alive(me) then return {1}, false, false end
if was[4] == A[1] then return {0}, false, false end
return {2}, false, false
