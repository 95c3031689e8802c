/* llmload - bounded closed-loop load client for LLM proxies (loopback only).
 *
 *   llmload --url http://127.0.0.1:PORT/path --mode req|get|stream
 *           [--conns N] [--duration S] [--warmup S] [--requests MAX]
 *           [--tokens N] [--gap-us G] [--ttft-us T] [--size B] [--prompt B]
 *           [--model NAME] [--ramp S] [--reconnect] [--hold] [--sip B --finish N] [--pid P[,P...]]
 *           [--header 'K: V']
 *
 * Prints one JSON object.  With --pid it adds the CPU time (ns, /proc/PID/task/T/schedstat) those
 * processes used between the end of the warm-up and the end of the run, and their RSS before and after.
 * stream mode checks every SSE event: order, count, the [DONE] mark; the sim's "t=" stamp gives the
 * one-way delay of each token.   --hold: open N streams, wait for each one's first token, then stop.
 * --sip B: open N streams and read B bytes of each in a second, through small kernel buffers, for the
 * duration; then N of --finish read on as fast as they can, to the end, and the others hang up.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef uint64_t u64; typedef int64_t i64;
static u64 now_ns(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return (u64)t.tv_sec*1000000000ull+t.tv_nsec;}

/* ---- log-linear histogram: 64 sub-buckets for each power of two ---- */
typedef struct {u64 n; u64 b[64*64]; u64 max; double sum;} hist;
static int hidx(u64 v){if(v<64)return (int)v;int e=63-__builtin_clzll(v);return ((e-5)<<6)|(int)((v>>(e-6))&63);}
static u64 hval(int i){if(i<64)return i;int e=(i>>6)+5;return ((u64)1<<e)|((u64)(i&63)<<(e-6));}
static void hadd(hist*h,u64 v){h->n++;h->sum+=v;if(v>h->max)h->max=v;h->b[hidx(v)]++;}
static double hq(hist*h,double q){if(!h->n)return 0;u64 want=(u64)(q*h->n),a=0;for(int i=0;i<4096;i++){a+=h->b[i];if(a>want)return hval(i)/1000.0;}return h->max/1000.0;}
static void hprint(const char*k,hist*h){printf("\"%s\":{\"n\":%llu,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",k,(unsigned long long)h->n,h->n?h->sum/h->n/1000:0,hq(h,.5),hq(h,.9),hq(h,.99),hq(h,.999),h->max/1000.0);}
static hist H_lat,H_ttft,H_tok,H_jit;

enum {B_HEAD,B_LEN,B_CHSIZE,B_CHDATA,B_CHCRLF,B_TRAIL,B_EOF};
typedef struct conn {
    int fd,state,connected,active,out_off; u64 start; 
    u64 left; int conn_close; int status;
    char head[16384]; int hl;
    char line[1024]; int ll; int first; i64 lastlat; int tokens, done, expect_seq;
    int chl; char chs[32];
    u64 t_open;
} conn;
static struct sockaddr_in sa; static int ep; static char req[262144]; static int reqlen;
static int mode_stream, reconnect, hold, sip, finishing;
static u64 t_measure, t_end; static int measuring;
static u64 n_req,n_err,n_tok,n_bytes,n_status,n_conn,n_short,n_seq,n_eof,n_refused,n_started; static u64 max_requests; static long want_tokens;
static int n_first;

static long cpu_ns(const char*pids,u64*out){
    u64 t=0;char buf[256];strncpy(buf,pids,255);buf[255]=0;char*s;
    for(char*p=strtok_r(buf,",",&s);p;p=strtok_r(0,",",&s)){
        char d[64];snprintf(d,64,"/proc/%s/task",p);DIR*D=opendir(d);if(!D)continue;struct dirent*e;
        while((e=readdir(D))){if(e->d_name[0]=='.')continue;char f[400];snprintf(f,400,"%s/%s/schedstat",d,e->d_name);FILE*F=fopen(f,"r");unsigned long long x;if(F){if(fscanf(F,"%llu",&x)==1)t+=x;fclose(F);}}
        closedir(D);
    }
    *out=t;return 0;
}
static long rss_kb(const char*pids){
    long t=0;char buf[256];strncpy(buf,pids,255);buf[255]=0;char*s;
    for(char*p=strtok_r(buf,",",&s);p;p=strtok_r(0,",",&s)){
        char f[64];long size,pages;snprintf(f,64,"/proc/%s/statm",p);FILE*F=fopen(f,"r");if(!F)continue;
        if(fscanf(F,"%ld %ld",&size,&pages)==2)t+=pages*(sysconf(_SC_PAGESIZE)/1024);
        fclose(F);
    }
    return t;
}
static void begin(conn*c);
static void open_conn(conn*c){
    c->fd=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0);int one=1;
    if(c->fd<0){perror("socket");exit(1);}
    setsockopt(c->fd,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one);
    if(sip){  /* as over Ethernet: loopback's huge segments would let the kernel hold megabytes for each stream */
        int mss=1460,rcvbuf=8192;
        setsockopt(c->fd,IPPROTO_TCP,TCP_MAXSEG,&mss,sizeof mss);setsockopt(c->fd,SOL_SOCKET,SO_RCVBUF,&rcvbuf,sizeof rcvbuf);
    }
    n_conn++;c->connected=0;c->t_open=now_ns();
    int r=connect(c->fd,(void*)&sa,sizeof sa);
    if(r<0&&errno!=EINPROGRESS){n_refused++;}
    struct epoll_event e={.events=EPOLLIN|EPOLLOUT|EPOLLRDHUP,.data.ptr=c};epoll_ctl(ep,EPOLL_CTL_ADD,c->fd,&e);
}
static void drop(conn*c){close(c->fd);c->fd=-1;c->active=0;c->connected=0;}
static void try_write(conn*c){
    while(c->out_off<reqlen){
        ssize_t r=send(c->fd,req+c->out_off,reqlen-c->out_off,MSG_NOSIGNAL);
        if(r<0){if(errno==EAGAIN){struct epoll_event e={.events=EPOLLIN|EPOLLOUT|EPOLLRDHUP,.data.ptr=c};epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&e);}return;}
        c->out_off+=r;
    }
}
static int budget(void){return !max_requests||n_started<max_requests;}
static void begin(conn*c){
    if(!budget()){if(c->fd>=0)drop(c);return;}
    n_started++;
    c->state=B_HEAD;c->hl=0;c->ll=0;c->first=1;c->tokens=0;c->done=0;c->conn_close=0;c->status=0;c->lastlat=-1;c->expect_seq=0;c->chl=0;
    c->out_off=0;c->active=1;c->start=now_ns();
    if(c->fd<0)open_conn(c);
    else try_write(c);
}
static void fail(conn*c){ n_err++; if(c->fd>=0)drop(c); begin(c); }
static void finish(conn*c){
    u64 t=now_ns();
    if(c->status!=200){n_status++;n_err++;}
    else if(mode_stream&&(!c->done||c->tokens!=want_tokens)){n_short++;n_err++;}
    else if(measuring){n_req++;hadd(&H_lat,t-c->start);}
    if(c->conn_close||reconnect)drop(c);
    begin(c);
}
static void sse_line(conn*c,u64 t){
    if(c->ll<6||memcmp(c->line,"data: ",6))return;
    if(c->ll>=12&&!memcmp(c->line+6,"[DONE]",6)){c->done=1;return;}
    char*q=memmem(c->line,c->ll," tok",4);
    if(!q||memcmp(q+9," t=",3))return;
    u64 ts=strtoull(q+12,0,10);
    int s=atoi(q+4);if(s!=c->expect_seq)n_seq++;
    c->expect_seq=s+1;
    c->tokens++;
    i64 lat=(i64)(t-ts);if(lat<0)lat=0;
    if(c->first){c->first=0;n_first++;if(measuring&&c->start>=t_measure)hadd(&H_ttft,t-c->start);}
    if(measuring){n_tok++;hadd(&H_tok,lat);if(c->lastlat>=0)hadd(&H_jit,llabs(lat-c->lastlat));}
    c->lastlat=lat;
}
static void body(conn*c,const char*d,size_t n,u64 t){
    if(measuring)n_bytes+=n;
    if(!mode_stream)return;
    while(n){
        const char*q=memchr(d,'\n',n);size_t k=q?(size_t)(q-d):n;
        size_t room=sizeof c->line-1-c->ll,m=k<room?k:room;
        memcpy(c->line+c->ll,d,m);c->ll+=m;
        if(!q)return;
        c->line[c->ll]=0;sse_line(c,t);c->ll=0;
        d+=k+1;n-=k+1;
    }
}
static void head_done(conn*c){
    char*h=c->head;c->head[c->hl]=0;
    c->status=atoi(h+9);int te=0;i64 cl=-1;
    for(char*p=strchr(h,'\n');p&&p[1];p=strchr(p+1,'\n')){
        char*l=p+1;
        if(!strncasecmp(l,"content-length:",15))cl=strtoll(l+15,0,10);
        else if(!strncasecmp(l,"transfer-encoding:",18)){char*e=strchr(l,'\n');if(memmem(l,e?e-l:0,"chunked",7))te=1;}
        else if(!strncasecmp(l,"connection:",11)){char*e=strchr(l,'\n');if(e&&memmem(l,e-l,"close",5))c->conn_close=1;}
    }
    if(te){c->state=B_CHSIZE;c->chl=0;}
    else if(cl>=0){c->left=cl;c->state=B_LEN;}
    else {c->state=B_EOF;c->conn_close=1;}
}
/* returns 1 when the response is complete */
static int feed(conn*c,const char*d,size_t n,u64 t){
    while(n||(c->state==B_LEN&&c->left==0)){
        switch(c->state){
        case B_HEAD:{
            size_t k=0;int got=0;
            while(k<n){ if(c->hl>=(int)sizeof c->head-1){return -1;}
                c->head[c->hl++]=d[k++];
                if(c->hl>=4&&!memcmp(c->head+c->hl-4,"\r\n\r\n",4)){got=1;break;} }
            d+=k;n-=k;
            if(got){ if(!memcmp(c->head,"HTTP/1.1 100",12)){c->hl=0;break;} head_done(c);} break;}
        case B_LEN:{size_t k=n<c->left?n:c->left;body(c,d,k,t);d+=k;n-=k;c->left-=k;if(!c->left)return 1;break;}
        case B_EOF:body(c,d,n,t);n=0;break;
        case B_CHSIZE:{
            char ch=*d++;n--;
            if(ch=='\n'){c->chs[c->chl]=0;char*e;c->left=strtoull(c->chs,&e,16);if(e==c->chs)return -1;c->chl=0;c->state=c->left?B_CHDATA:B_TRAIL;}
            else if(c->chl<30)c->chs[c->chl++]=ch; else return -1;
            break;}
        case B_CHDATA:{size_t k=n<c->left?n:c->left;body(c,d,k,t);d+=k;n-=k;c->left-=k;if(!c->left)c->state=B_CHCRLF;break;}
        case B_CHCRLF:{char ch=*d++;n--;if(ch=='\n'){c->state=B_CHSIZE;c->chl=0;}else if(ch!='\r')return -1;break;}
        case B_TRAIL:{char ch=*d++;n--;if(ch=='\n'){if(c->chl==0)return 1;c->chl=0;}else if(ch!='\r')c->chl++;break;}
        }
    }
    return 0;
}
static char rbuf[262144];
static void readable(conn*c){
    for(;;){
        size_t most=sip&&!finishing?(size_t)sip:sizeof rbuf;
        ssize_t r=recv(c->fd,rbuf,most,0);
        u64 t=now_ns();
        if(r==0){
            if(c->active&&c->state==B_EOF&&c->status){finish(c);return;}
            if(c->active){n_eof++;fail(c);}else drop(c);
            return;
        }
        if(r<0){if(errno==EAGAIN)return;n_eof++;fail(c);return;}
        if(!c->active)return;
        int x=feed(c,rbuf,r,t);
        if(x<0){fail(c);return;}
        if(x>0){finish(c);return;}
        if(r<(ssize_t)sizeof rbuf)return;   /* a sip as well */
    }
}
/* each stream takes one sip in a second, a hundredth of them every 10 ms */
static void sip_some(conn*C,int opened,u64 tick){
    for(int i=(int)(tick%100);i<opened;i+=100)if(C[i].fd>=0&&C[i].connected)readable(&C[i]);
}
/* the first n read on to the end, the others hang up */
static void let_finish(conn*C,int conns,int n){
    finishing=1;
    for(int i=0;i<conns;i++){
        if(C[i].fd<0)continue;
        if(i>=n){drop(&C[i]);continue;}
        struct epoll_event e={.events=EPOLLIN|EPOLLRDHUP,.data.ptr=&C[i]};epoll_ctl(ep,EPOLL_CTL_MOD,C[i].fd,&e);
    }
}
static int streams_live(conn*C,int conns){int n=0;for(int i=0;i<conns;i++)if(C[i].active&&!C[i].first)n++;return n;}
static double arg_d(const char*s){return atof(s);}
int main(int argc,char**argv){
    signal(SIGPIPE,SIG_IGN);
    int conns=32,finish_n=0;double dur=5,warm=1,ramp=0;long tokens=100,gap=20000,ttft=0,size=1500,prompt=800;
    const char*url=0,*mode="req",*model="sim-model",*pids="",*hdr[8];int nh=0;
    for(int i=1;i<argc;i++){
        #define A(s) (!strcmp(argv[i],s)&&i+1<argc)
        if(A("--url"))url=argv[++i];else if(A("--mode"))mode=argv[++i];else if(A("--conns"))conns=atoi(argv[++i]);
        else if(A("--duration"))dur=arg_d(argv[++i]);else if(A("--warmup"))warm=arg_d(argv[++i]);else if(A("--ramp"))ramp=arg_d(argv[++i]);
        else if(A("--tokens"))tokens=atol(argv[++i]);else if(A("--gap-us"))gap=atol(argv[++i]);else if(A("--ttft-us"))ttft=atol(argv[++i]);
        else if(A("--size"))size=atol(argv[++i]);else if(A("--prompt"))prompt=atol(argv[++i]);else if(A("--model"))model=argv[++i];
        else if(A("--pid"))pids=argv[++i];else if(A("--requests"))max_requests=atoll(argv[++i]);else if(A("--sip"))sip=atoi(argv[++i]);else if(A("--finish"))finish_n=atoi(argv[++i]);else if(A("--header")&&nh<8)hdr[nh++]=argv[++i];
        else if(!strcmp(argv[i],"--reconnect"))reconnect=1;else if(!strcmp(argv[i],"--hold"))hold=1;
        else{fprintf(stderr,"llmload: unknown argument %s\n",argv[i]);return 2;}
    }
    if(sip){max_requests=conns;if(finish_n>conns)finish_n=conns;}
    if(dur>300||conns>9000){fprintf(stderr,"llmload: over the bounds (300 s, 9000 connections)\n");return 2;}
    char host[64];int port=80;char path[1024]="/";
    if(!url||sscanf(url,"http://%63[^:/]:%d%1023s",host,&port,path)<2){fprintf(stderr,"--url http://127.0.0.1:PORT/path\n");return 2;}
    if(strncmp(host,"127.",4)&&strcmp(host,"localhost")){fprintf(stderr,"llmload: loopback addresses only\n");return 2;}
    if(!strcmp(host,"localhost"))strcpy(host,"127.0.0.1");
    sa.sin_family=AF_INET;sa.sin_port=htons(port);inet_pton(AF_INET,host,&sa.sin_addr);
    mode_stream=!strcmp(mode,"stream");want_tokens=tokens;
    char extra[2048]="";for(int i=0;i<nh;i++){strcat(extra,hdr[i]);strcat(extra,"\r\n");}
    if(!strcmp(mode,"get"))reqlen=sprintf(req,"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: llmload\r\nAccept: */*\r\n%s\r\n",path,host,port,extra);
    else{
        static char b[131072];int k=sprintf(b,"{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},{\"role\":\"user\",\"content\":\"",model);
        for(int j=0;j+6<prompt&&k<130000;j+=6){memcpy(b+k,"lorem ",6);k+=6;}
        k+=sprintf(b+k,"\"}],\"temperature\":0.7,\"max_tokens\":%ld,\"stream\":%s,\"sim_gap_us\":%ld,\"sim_ttft_us\":%ld,\"sim_size\":%ld,\"sim_sndbuf\":%d}",tokens,mode_stream?"true":"false",gap,ttft,size,sip?32768:0);
        reqlen=sprintf(req,"POST %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: OpenAI/Python 1.40.0\r\nAccept: application/json\r\nAccept-Encoding: identity\r\nAuthorization: Bearer sk-test-0123456789\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n",path,host,port,extra,k);
        memcpy(req+reqlen,b,k);reqlen+=k;
    }
    ep=epoll_create1(0);
    conn*C=calloc(conns,sizeof*C);for(int i=0;i<conns;i++)C[i].fd=-1;
    long rss0=*pids?rss_kb(pids):0,rss_peak=rss0;int live=-1;u64 tick=0;
    u64 t0=now_ns();t_measure=t0+(u64)(warm*1e9);t_end=t_measure+(u64)(dur*1e9);
    int opened=0;u64 cpu0=0,cpu1=0;struct epoll_event ev[1024];u64 lastopen=t0;
    if(ramp<=0)ramp=conns/4000.0;   /* no SYN bursts over the accept queue */
    for(;;){
        u64 t=now_ns();
        if(!measuring&&t>=t_measure){measuring=1;t_measure=t;t_end=t+(u64)(dur*1e9);if(*pids)cpu_ns(pids,&cpu0);}
        if(sip&&!finishing&&(t-t0)/10000000!=tick){
            tick=(t-t0)/10000000;sip_some(C,opened,tick);
            if(*pids&&tick%10==0){long now=rss_kb(pids);if(now>rss_peak)rss_peak=now;}
        }
        if(sip&&!finishing&&measuring&&t>=t_end){live=streams_live(C,conns);let_finish(C,conns,finish_n);t_end=t+60000000000ull;}
        if(finishing&&n_req+n_err>=(u64)finish_n)break;
        if(measuring&&t>=t_end)break;
        if(hold&&n_first>=conns&&measuring)break;
        if(max_requests&&n_req+n_err>=max_requests)break;
        int target=(int)((t-t0)/1e9/ramp*conns)+1;if(target>conns)target=conns;
        while(opened<target){begin(&C[opened++]);lastopen=t;}
        int n=epoll_wait(ep,ev,1024,opened<conns?1:sip&&!finishing?5:20);
        for(int i=0;i<n;i++){
            conn*c=ev[i].data.ptr;if(c->fd<0)continue;
            if((ev[i].events&(EPOLLERR|EPOLLHUP))&&!c->connected){n_refused++;n_err++;drop(c);if(now_ns()-t0<2000000000ull||n_refused<100)begin(c);continue;}
            if(ev[i].events&EPOLLOUT){c->connected=1;struct epoll_event e={.events=sip&&!finishing?0:EPOLLIN|EPOLLRDHUP,.data.ptr=c};epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&e);try_write(c);}
            if(c->fd>=0&&(ev[i].events&(EPOLLIN|EPOLLRDHUP|EPOLLHUP|EPOLLERR)))readable(c);
        }
    }
    (void)lastopen;
    u64 t1=now_ns();if(*pids)cpu_ns(pids,&cpu1);
    double el=(t1-t_measure)/1e9,cpu=(cpu1-cpu0)/1e3; /* us */
    long rss1=*pids?rss_kb(pids):0;if(rss1>rss_peak&&!sip)rss_peak=rss1;
    if(live<0)live=streams_live(C,conns);
    if(finishing)for(int i=0;i<finish_n;i++)if(C[i].active){n_short++;n_err++;}
    printf("{\"mode\":\"%s\",\"conns\":%d,\"elapsed\":%.3f,\"requests\":%llu,\"rps\":%.1f,\"errors\":%llu,",mode,conns,el,(unsigned long long)n_req,n_req/el,(unsigned long long)n_err);
    if(n_err||n_seq)printf("\"err\":{\"status\":%llu,\"short\":%llu,\"seq\":%llu,\"eof\":%llu,\"refused\":%llu},",(unsigned long long)n_status,(unsigned long long)n_short,(unsigned long long)n_seq,(unsigned long long)n_eof,(unsigned long long)n_refused);
    printf("\"connections\":%llu,\"MB_s\":%.2f,",(unsigned long long)n_conn,n_bytes/el/1e6);
    if(mode_stream)printf("\"tokens\":%llu,\"tokens_s\":%.1f,\"streams_live\":%d,",(unsigned long long)n_tok,n_tok/el,live);
    hprint("latency_us",&H_lat);
    if(mode_stream){hprint("ttft_us",&H_ttft);hprint("token_delay_us",&H_tok);hprint("jitter_us",&H_jit);}
    if(*pids){
        printf("\"cpu_s\":%.4f,\"cpu_util\":%.3f,",cpu/1e6,cpu/1e6/el);
        if(n_req)printf("\"cpu_us_per_req\":%.2f,",cpu/n_req);
        if(n_tok)printf("\"cpu_us_per_token\":%.3f,",cpu/n_tok);
        printf("\"rss_kb_before\":%ld,\"rss_kb_after\":%ld,\"rss_kb_peak\":%ld,",rss0,rss1,rss_peak);
    }
    printf("\"ok\":%s}\n",n_err||n_seq?"false":"true");
    return 0;
}
