return {call('HGET', K[1], 'value')}, false, false
