-- A task was taken for somebody who was told an error instead. A: the reply: {1, pool, task, body} if there was one.
if A[1] ~= '1' then return {0}, false end
local task, ticket = string.match(A[3], '^(%d+):(%d+)$')
local holder = task and call('HGET', A[2] .. ':held', task)
if not holder or string.match(holder, '^([^/]*)/%d+ ' .. ticket .. '$') ~= me then return {0}, false end
put_back(K[1], A[2], task)
return {1}
