-- Shuts the queue down. A: '1': drops what waits, which counts as done, and what comes back later. Returns how many.
whatever_memory()
local n = 0
if A[1] == '1' then
  local waiting = call('ZRANGE', K[2], 0, -1)
  n = #waiting
  call('HSET', K[1], 'closed', '2', 'bytes', 0)
  for i = 1, n, 1000 do
    local last = math.min(n, i + 999)
    call('HDEL', K[6], unpack(waiting, i, last))
    call('HDEL', K[7], unpack(waiting, i, last))
  end
  call('UNLINK', K[2])
  done_with()
else
  call('HSETNX', K[1], 'closed', '1')
end
ring(K[3], 1e9)
ring(K[4], 1e9)
return {n}
