/* Scripts in the engine: classes, generators, promises and their jobs, regular expressions, big integers, typed arrays,
 * proxies, JSON, exceptions across C, Unicode. */
#include "../common.h"
#include "quickjs.h"

static const char *const scripts[] = {
    "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }\n"
    "print('fib', fib(26));",

    "let seed = 1; const a = Array.from({length: 20000}, () => seed = (seed * 48271) % 2147483647);\n"
    "a.sort((x, y) => x - y); print('sort', a[0], a[9999], a.reduce((h, v) => (h * 31 + v) % 1000003, 7));\n"
    "print(a.slice(0, 50).map(x => x % 100).filter(x => x % 2).join());",

    "class Shape { #n = 1; static made = 0; constructor(n) { this.#n = n; Shape.made++; } get area() { return this.#n; }\n"
    "  *[Symbol.iterator]() { for (let i = 0; i < this.#n; i++) yield i * i; } }\n"
    "class Square extends Shape { get area() { return super.area ** 2; } toString() { return `Square ${this.area}`; } }\n"
    "const s = new Square(7); print(`${s}`, [...s], Shape.made, s instanceof Shape);\n"
    "const {area, ...rest} = s; print(area, Object.keys(rest).length, s?.nothing?.more ?? 'default');",

    "const text = 'The year 1999 and 2024-05-06, then 12:34. '.repeat(200);\n"
    "print('regexp', text.match(/\\d+/g).length, text.replace(/(?<y>\\d{4})-(?<m>\\d\\d)/g, '$<m>/$<y>').length);\n"
    "print(/(?<=\\$)\\d+(\\.\\d*)?/.exec('cost $42.5')[0], /^\\p{Lu}\\p{Ll}+$/u.test('\\u00c4rger'), 'a1b2'.split(/\\d/));\n"
    "print('\\u0130stanbul'.toLowerCase().length, 'stra\\u00dfe'.toUpperCase(), 'e\\u0301'.normalize('NFC').length);",

    "let f = 1n; for (let i = 1n; i <= 120n; i++) f *= i;\n"
    "print('bigint', f, f % 1000000007n, (2n ** 300n).toString(16), BigInt.asIntN(8, 255n), -7n / 2n);",

    "const log = []; const wait = v => new Promise(r => r(v));\n"
    "(async () => { for await (const v of (async function*() { yield 1; yield await wait(2); yield 3; })()) log.push(v);\n"
    "  try { await Promise.reject(new Error('no')); } catch (e) { log.push(e.message); }\n"
    "  log.push(await Promise.all([wait('a'), wait('b')]).then(x => x.join('')));\n"
    "  print('async', JSON.stringify(log)); })();\n"
    "print('before the jobs');",

    "const data = {n: [1, 2.5, -1e21, null, true], s: 'q\"\\u2028\\n', o: {x: {y: {z: []}}}};\n"
    "const json = JSON.stringify(data, null, 1); print(json.length, JSON.stringify(JSON.parse(json)) === JSON.stringify(data));\n"
    "try { JSON.parse('{\"a\": [1, }'); } catch (e) { print(e.name); }\n"
    "print([0.1 + 0.2, 1 / 3, 5e-324, 1e21, 123456789.125, -0].map(String).join(), (25).toString(36), (0.5).toFixed(0));",

    "const proxy = new Proxy({}, {get: (t, k) => typeof k === 'string' ? k.length : 0, has: () => true});\n"
    "print('proxy', proxy.hello, 'x' in proxy, Reflect.ownKeys({b: 1, a: 2, 1: 3}).join());\n"
    "const m = new Map([[NaN, 'nan'], [0, 'zero']]); print(m.get(NaN), m.get(-0), [...new Set([1, 1, 2])].length);\n"
    "const view = new DataView(new ArrayBuffer(16)); view.setFloat64(0, Math.PI); view.setInt16(8, -2, true);\n"
    "print(new Uint8Array(view.buffer).join(), new Float32Array([1.1])[0]);",

    "function deep(n) { if (!n) throw new RangeError('bottom'); try { return deep(n - 1); } finally { count++; } }\n"
    "var count = 0; try { deep(50); } catch (e) { print('exception', e.name, e.message, count); }\n"
    "try { (function loop() { loop(); })(); } catch (e) { print('stack', e instanceof RangeError || e instanceof InternalError); }\n"
    "print(hostSum(1, 2, 3.5), new Date(86400000 * 365.25 * 30).toISOString(), eval('1 + 1'), new Function('a', 'return a * 2')(21));\n"
    "undefinedName;",
};

static JSValue js_print(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    for (int i = 0; i < count; i++) {
        const char *text = JS_ToCString(context, values[i]);
        if (!text) return JS_EXCEPTION;
        printf(i ? " %s" : "%s", text);
        JS_FreeCString(context, text);
    }
    printf("\n");
    return JS_UNDEFINED;
}

static JSValue js_sum(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
    double sum = 0, value;
    (void)self;
    for (int i = 0; i < count; i++) {
        if (JS_ToFloat64(context, &value, values[i])) return JS_EXCEPTION;
        sum += value;
    }
    return JS_NewFloat64(context, sum);
}

static void show_exception(JSContext *context) {
    JSValue exception = JS_GetException(context);
    const char *text = JS_ToCString(context, exception);
    printf("uncaught: %s\n", text ? text : "?");
    JS_FreeCString(context, text);
    JS_FreeValue(context, exception);
}

int main(void) {
    int failures = 0;
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = JS_NewContext(runtime);
    JSContext *job;
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, js_print, "print", 1));
    JS_SetPropertyStr(context, global, "hostSum", JS_NewCFunction(context, js_sum, "hostSum", 1));
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        /* Each script in a block of its own, so that their names stay apart. */
        size_t room = strlen(scripts[i]) + 8;
        char *source = malloc(room);
        int length = snprintf(source, room, "{%s\n}", scripts[i]);
        JSValue result = JS_Eval(context, source, (size_t)length, "script", JS_EVAL_TYPE_GLOBAL);
        if (JS_IsException(result)) {
            show_exception(context);
            failures++;
        }
        JS_FreeValue(context, result);
        while (JS_ExecutePendingJob(runtime, &job) > 0) {
        }
        free(source);
    }
    JS_FreeValue(context, global);
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    return failures;
}
