-- A: '1' sets it and lets everybody go on who waits, '0' unsets it. {}
if A[1] == (call('HGET', K[1], 'set') or '0') then return {}, false end
whatever_memory()
call('HSET', K[1], 'set', A[1])
if A[1] == '1' then
  call('HINCRBY', K[1], 'times', 1)
  ring(K[2], 2147483647)
end
return {}
