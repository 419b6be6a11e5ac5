-- Gives a lock back. A: the token that this thread holds it by or '', thread, '1' for all its depth,
-- '1' to release nobody else's.
-- {1, depth that is left, token it was held by, depth it had}; {2}: the hold was lost; {3}: not held; {4}: not
-- this thread's.
local was = call('HMGET', K[1], 'kind', 'holder', 'thread', 'token', 'depth', 'given')
if not was[1] then return redis.error_reply('PROCESSIONGONE ' .. K[1]), false end
local holder, token, depth, given = was[2], was[4], tonumber(was[5] or 0), was[6]
local mine = holder == me and was[3] == A[2]
-- Free, and taken by nobody since: an earlier call of this thread's has done it, which was interrupted.
if A[1] ~= '' and not holder and token == A[1] and given ~= token then
  return {1, 0, tonumber(token), 0}, false
end
if was[1] == 'rlock' then
  if A[1] ~= '' and not (mine and token == A[1]) then return {2}, false end
  if not mine then return {4}, false end
  if depth > 1 and A[3] ~= '1' then
    whatever_memory()
    return {1, call('HINCRBY', K[1], 'depth', -1), tonumber(token), depth}, true, false
  end
else
  -- Unless somebody else has given it back for this one.
  if A[1] ~= '' and token ~= A[1] and given ~= A[1] then return {2}, false end
  if not holder then return {3}, false end
  if not mine then
    if A[4] == '1' then return {3}, false end
    if holder ~= 'nobody' and not alive(holder) then return {3}, false end
    whatever_memory()
    call('HSET', K[1], 'given', token)
  end
end
call('HDEL', K[1], 'holder', 'thread', 'who', 'depth')
ring(K[2], 1)
return {1, 0, tonumber(token), depth}, true, false
