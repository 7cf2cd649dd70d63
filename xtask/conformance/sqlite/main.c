/* A database in memory and one in a file: transactions, joins, windows, recursion, JSON, full text, R-trees, triggers,
 * functions and collations in C, backup. Every row is printed or summed. */
#include "../common.h"
#include "sqlite3.h"

static sqlite3 *db;

static int print_row(void *label, int count, char **values, char **names) {
    printf("%s:", (const char *)label);
    for (int i = 0; i < count; i++) printf(" %s=%s", names[i], values[i] ? values[i] : "NULL");
    printf("\n");
    return 0;
}

static void run(const char *label, const char *sql) {
    char *error = NULL;
    if (sqlite3_exec(db, sql, print_row, (void *)label, &error) != SQLITE_OK) {
        printf("%s: error: %s\n", label, error);
        sqlite3_free(error);
    }
}

static void collatz(sqlite3_context *context, int count, sqlite3_value **values) {
    sqlite3_int64 n = sqlite3_value_int64(values[0]);
    int steps = 0;
    (void)count;
    for (; n > 1; steps++) n = n % 2 ? 3 * n + 1 : n / 2;
    sqlite3_result_int(context, steps);
}

static int by_length(void *unused, int a_length, const void *a, int b_length, const void *b) {
    int shorter = a_length < b_length ? a_length : b_length;
    (void)unused;
    return a_length != b_length ? a_length - b_length : memcmp(a, b, (size_t)shorter);
}

static void fill(void) {
    Rng rng = {42};
    sqlite3_stmt *insert;
    run("create", "create table item(id integer primary key, kind int, price real, name text);"
                  "create index item_kind on item(kind, price);"
                  "create table kind(id integer primary key, title text unique);"
                  "create table log(at integer primary key, what text);"
                  "create trigger changed after update on item begin"
                  "  insert into log(what) values (old.name || '>' || new.name); end;"
                  "begin");
    for (int i = 0; i < 40; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "insert into kind values(%d, 'kind %c%d')", i, 'a' + i % 26, i * 7);
        run("kind", sql);
    }
    sqlite3_prepare_v2(db, "insert into item values(?, ?, ?, ?)", -1, &insert, NULL);
    for (int i = 0; i < 50000; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "item-%x", rng_next(&rng));
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_int(insert, 2, (int)rng_below(&rng, 40));
        sqlite3_bind_double(insert, 3, rng_below(&rng, 100000) / 100.0);
        sqlite3_bind_text(insert, 4, name, length, SQLITE_TRANSIENT);
        require(sqlite3_step(insert) == SQLITE_DONE, "insert");
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run("commit", "commit; analyze");
}

static void query(void) {
    run("join", "select k.title, count(*) n, round(sum(i.price), 2) total from item i join kind k on k.id = i.kind "
                "group by k.id having n > 480 order by total desc limit 8");
    run("window", "select id, rank() over w r, round(sum(price) over w, 2) s from item where kind = 7 "
                  "window w as (order by price desc, id) limit 5");
    run("plan", "explain query plan select * from item where kind = 3 and price < 5");
    run("mandelbrot",
        "with recursive xaxis(x) as (values(-2.0) union all select x+0.1 from xaxis where x<1.2),"
        "yaxis(y) as (values(-1.0) union all select y+0.2 from yaxis where y<1.0),"
        "m(iter,cx,cy,x,y) as (select 0,x,y,0.0,0.0 from xaxis,yaxis union all "
        "select iter+1,cx,cy,x*x-y*y+cx,2.0*x*y+cy from m where (x*x+y*y)<4.0 and iter<28),"
        "m2(iter,cx,cy) as (select max(iter),cx,cy from m group by cx,cy),"
        "a(t) as (select group_concat(substr(' .+*#',1+min(iter/7,4),1),'') from m2 group by cy)"
        "select rtrim(t) line from a");
    run("json", "select json_extract(j,'$.b[1].c') c, json_array_length(j,'$.b') n, json_set(j,'$.d',json('[1,2]')) s "
                "from (select '{\"a\":1,\"b\":[0,{\"c\":\"x\"}]}' j)");
    run("json each", "select key, value, type from json_each('{\"x\":1.5,\"y\":[true,null],\"z\":\"q\"}')");
    run("function", "select max(collatz(id)) longest, sum(collatz(id)) total from item where id < 5000");
    run("collation", "select name from item where id < 30 order by name collate by_length limit 4");
    run("update", "update item set name = upper(name) where id % 997 = 0; select count(*) n, max(what) w from log");
    run("text", "create virtual table doc using fts5(body);"
                "insert into doc select name || ' word' || (id % 50) || ' common' from item where id < 4000;"
                "select count(*) n from doc where doc match 'word7 AND common';"
                "select rowid, snippet(doc,0,'[',']','',4) s from doc where doc match 'word13' order by rank, rowid limit 2");
    run("tree", "create virtual table box using rtree(id, x0, x1, y0, y1);"
                "insert into box select id, id%100, id%100+2, id/100, id/100+1 from item where id < 9000;"
                "select count(*) n, sum(id) s from box where x1 > 20 and x0 < 30 and y1 > 10 and y0 < 12");
    run("error", "select * from nowhere");
    run("constraint", "insert into kind values(1, 'again')");
    run("printf", "select printf('%08.3f|%-6s|%x|%q', 3.14159, 'ab', 48879, 'it''s') p, hex(zeroblob(2)) r");
}

int main(void) {
    sqlite3 *file;
    sqlite3_backup *backup;
    require(sqlite3_open(":memory:", &db) == SQLITE_OK, "open");
    sqlite3_create_function(db, "collatz", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, collatz, NULL, NULL);
    sqlite3_create_collation(db, "by_length", SQLITE_UTF8, NULL, by_length);
    printf("sqlite %s\n", sqlite3_libversion());
    fill();
    query();

    remove("copy.db");
    require(sqlite3_open("copy.db", &file) == SQLITE_OK, "open a file");
    backup = sqlite3_backup_init(file, "main", db, "main");
    while (sqlite3_backup_step(backup, 50) == SQLITE_OK) {
    }
    require(sqlite3_backup_finish(backup) == SQLITE_OK, "backup");
    sqlite3_close(db);
    db = file;
    run("file", "pragma integrity_check; delete from item where kind > 10; vacuum; pragma page_count");
    run("file", "pragma journal_mode = wal; begin; delete from item; rollback; select count(*) n from item");
    require(sqlite3_close(db) == SQLITE_OK, "close");
    remove("copy.db");
    return 7;
}
