-- Makes the reentrant lock that belongs to a condition with a name, if there is none. {}
if call('HSETNX', K[6], 'kind', 'rlock') == 0 then return {}, false end
return {}
