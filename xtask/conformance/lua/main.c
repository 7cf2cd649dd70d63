/* Scripts in the interpreter: closures, coroutines, metatables, strings and patterns, sorting, garbage collection,
 * errors through longjmp, precompiled chunks, and calls in both directions between C and Lua. */
#include "../common.h"
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static const char *const scripts[] = {
    "local n = 0\n"
    "local function fib(k) n = n + 1; if k < 2 then return k end; return fib(k-1) + fib(k-2) end\n"
    "print('fib', fib(27), n)",

    "local t = {}\n"
    "local seed = 12345\n"
    "for i = 1, 20000 do seed = (seed * 1103515245 + 12345) % 2147483648; t[i] = seed end\n"
    "table.sort(t)\n"
    "local h = 0; for i, v in ipairs(t) do h = (h * 31 + v) % 1000000007 end\n"
    "print('sort', #t, h)\n"
    "table.sort(t, function(a, b) return a % 1000 < b % 1000 or (a % 1000 == b % 1000 and a < b) end)\n"
    "print('sort by', t[1], t[10000], t[20000])",

    "local Account = {}; Account.__index = Account\n"
    "Account.__add = function(a, b) return setmetatable({v = a.v + b.v}, Account) end\n"
    "Account.__tostring = function(a) return 'Account(' .. a.v .. ')' end\n"
    "Account.__lt = function(a, b) return a.v < b.v end\n"
    "Account.__call = function(a, x) a.v = a.v + x; return a end\n"
    "Account.__close = function(a) print('closed', a) end\n"
    "local a, b = setmetatable({v = 3}, Account), setmetatable({v = 4}, Account)\n"
    "print(tostring(a + b), a < b, a(10) < b, tostring(a))\n"
    "do local c <close> = a; print('inside') end",

    "local function permutations(a, n)\n"
    "  if n == 0 then coroutine.yield(table.concat(a, ',')) else\n"
    "  for i = 1, n do a[n], a[i] = a[i], a[n]; permutations(a, n - 1); a[n], a[i] = a[i], a[n] end end end\n"
    "local count, last = 0\n"
    "for p in coroutine.wrap(function() permutations({1,2,3,4,5,6,7}, 7) end) do count = count + 1; last = p end\n"
    "print('coroutine', count, last)",

    "local text = string.rep('key=value; name = \"x y\", n=42\\n', 400)\n"
    "local n, sum = 0, 0\n"
    "for k, v in text:gmatch('(%w+)%s*=%s*(%w+)') do n = n + 1; sum = sum + #k * #v end\n"
    "local replaced, count = text:gsub('%d+', function(d) return string.format('<%05d>', d) end)\n"
    "print('pattern', n, sum, count, #replaced, replaced:sub(1, 40))\n"
    "print(('%5.2f|%q|%x|%g|%a|%-5s|%+d'):format(3.14159, 'a\\nb', 255, 1e20, 0.5, 'ab', 7))\n"
    "print(string.pack('<i4d', 7, 1.5):byte(1, -1))\n"
    "print(utf8.char(228, 8364, 128512), utf8.len('äöü'), ('x'):rep(3, '-'))",

    "local ok, message = pcall(function() local x = nil; return x.field end)\n"
    "print('error', ok, message)\n"
    "print(select(2, xpcall(function() error({code = 5}) end, function(e) return e.code * 2 end)))\n"
    "print(pcall(error, 'plain', 0))\n"
    "local function deep(k) if k == 0 then error('bottom') end; return (pcall(deep, k - 1)) end\n"
    "print('deep', deep(100), pcall(string.rep, 'x', -1), pcall(string.rep))",

    "collectgarbage('generational')\n"
    "local weak = setmetatable({}, {__mode = 'k'})\n"
    "local finalized = 0\n"
    "for i = 1, 3000 do local o = setmetatable({}, {__gc = function() finalized = finalized + 1 end}); weak[o] = i end\n"
    "collectgarbage(); collectgarbage('incremental'); collectgarbage()\n"
    "print('gc', finalized, next(weak))",

    "local chunk = string.dump(load('local a, b = ...; local s = 0; for i = a, b do s = s + i // 3 ~ i end; return s'))\n"
    "print('chunk', load(chunk, 'c', 'b')(1, 100000), math.type(3 // 2), 7 // 2.0, -7 % 3, 1 << 62, 2^53)\n"
    "goto done; print('skipped'); ::done:: print(math.maxinteger + 1 == math.mininteger, 0x.8p1, tostring(1e15))",

    "local N, rows = 40, {}\n"
    "for i = 1, N do rows[i] = {}; for j = 1, N do rows[i][j] = (i * j) % 7 + 1 / (i + j) end end\n"
    "local p = {}\n"
    "for i = 1, N do p[i] = {}; for j = 1, N do local s = 0.0; for k = 1, N do s = s + rows[i][k] * rows[k][j] end\n"
    "p[i][j] = s end end\n"
    "print('matrix', string.format('%.10f %.10f', p[1][1], p[N][N]))\n"
    "print('host', host_sum(1, 2.5, '3'), host_call(function(x) return x * x end, 12))",
};

static int host_sum(lua_State *state) {
    lua_Number sum = 0;
    for (int i = 1; i <= lua_gettop(state); i++) sum += luaL_checknumber(state, i);
    lua_pushnumber(state, sum);
    return 1;
}

static int host_call(lua_State *state) {
    luaL_checktype(state, 1, LUA_TFUNCTION);
    lua_settop(state, 2);
    lua_call(state, 1, 1);
    return 1;
}

int main(void) {
    lua_State *state = luaL_newstate();
    int failures = 0;
    luaL_openlibs(state);
    lua_register(state, "host_sum", host_sum);
    lua_register(state, "host_call", host_call);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        if (luaL_loadbuffer(state, scripts[i], strlen(scripts[i]), "=script") || lua_pcall(state, 0, 0, 0)) {
            printf("script %zu: %s\n", i, lua_tostring(state, -1));
            failures++;
        }
        lua_settop(state, 0);
    }
    lua_close(state);
    return failures;
}
